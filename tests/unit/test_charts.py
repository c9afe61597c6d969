"""Charts: their data against the leaderboard's numbers, and the SVG that a page may hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair
import numpy as np
import pytest

from nn.errors import InvalidInputError
from orchestrator.folder.rows import Row, accepted_row, lost_row
from orchestrator.report import snapshot
from orchestrator.report.charts import catalogue, configurations, drawing, labels, style
from orchestrator.report.charts.kinds import by_axis, curves, differences, heatmap, intervals
from orchestrator.report.charts.marks import bins
from orchestrator.report.charts.marks.scales import Scale, apart, is_in_ratios
from orchestrator.report.snapshot import Snapshot
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.exported import DATASET, HOSTILE, odd_trainer
from tests.support.report_folders import CONTROLS, INJECTIONS, TEXTS
from tests.support.snapshots import folder_of, snapshot_of
from tests.support.sweeps import sweep_of
from worker.job import Job, Result

RATES = (0.01, 0.03, 0.1)
HOSTILE_TEXTS = (*INJECTIONS, *TEXTS, *CONTROLS, HOSTILE, f"{HOSTILE[:-1]}y")
EPOCHS = 3


def row(job: Job, scores: list[float], status: str = "succeeded") -> Row:
    result = Result(
        job=job.key,
        status=status,
        validation_score=scores,
        others=dict.fromkeys(job.others, scores),
        epoch_seconds=[1.0] * len(scores),
        weights_sha256=job.key,
        weights_bytes=1,
        worker="w@host",
        attempts=1,
    )
    return accepted_row(job, result)


def ended(job: Job) -> Row | None:
    """End a job: the rates are 0.1 apart, seed 3 of rate 0.1 diverges, seed 4 fails, seed 5 has not ended."""
    last = 0.5 + 0.1 * RATES.index(job.options.learning_rate) + 0.01 * job.seed
    if job.options.learning_rate == 0.1 and job.seed >= 3:
        endings = {3: row(job, [0.3, 0.1], "diverged"), 4: lost_row(job, "failed", "it broke")}
        return endings.get(job.seed)
    return row(job, [last - 0.2, last - 0.1, last])


@pytest.fixture
def mixed(tmp_path: Path) -> Snapshot:
    return snapshot_of(tmp_path, sweep_of(seeds=tuple(range(6)), learning_rates=RATES, epochs=EPOCHS), ended)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


class TestCurves:
    def test_the_last_points_are_the_leaderboards_figures(self, mixed: Snapshot) -> None:
        found = curves.curves(mixed)
        assert len(found) == len(RATES)
        for curve, standing in zip(found, mixed.leaderboard.standings, strict=True):
            end = curve.points[-1]
            assert (end.epoch, end.n, end.mean) == (EPOCHS, standing.n, standing.mean)
            assert end.interval is not None
            assert (end.interval.low, end.interval.high) == pytest.approx((standing.low, standing.high))

    def test_what_diverged_is_drawn_and_counted_by_no_mean(self, mixed: Snapshot) -> None:
        first = next(each for each in curves.curves(mixed) if each.configuration.name == "learning rate 0.1")
        assert first.diverged == {3}
        assert first.jobs[3] == [(1, 0.3), (2, 0.1)]
        assert [point.n for point in first.points] == [3, 3, 3]
        assert sorted(first.jobs) == [0, 1, 2, 3]

    def test_a_sweep_without_results_has_none(self, tmp_path: Path) -> None:
        empty = snapshot_of(tmp_path, sweep_of(seeds=(0, 1), learning_rates=RATES), lambda _: None)
        assert curves.chart(empty) is None


class TestIntervals:
    def test_a_row_has_the_figures_of_its_standing(self, mixed: Snapshot) -> None:
        every = configurations.drawn(mixed)
        rows = intervals.rows(every, mixed.leaderboard.metric, each_job=True)
        for row, standing in zip(rows, mixed.leaderboard.standings, strict=True):
            assert row.mean == pytest.approx(100 * standing.mean)
            assert row.ends == pytest.approx((100 * standing.low, 100 * standing.high))
            assert row.is_strong == standing.contender
            scores = {job.seed: job.score for job in standing.jobs if job.status == "succeeded"}
            found = {dot.seed: dot.value for dot in row.dots if dot.value is not None}
            assert found == pytest.approx({seed: 100 * score for seed, score in scores.items()})
        lost = next(row for row in rows if row.label == "0.1")
        assert [dot.seed for dot in lost.dots if dot.value is None] == [3]
        assert "1 diverged" in lost.note

    def test_what_mostly_diverged_is_not_said_to_be_beaten(self, tmp_path: Path, mixed: Snapshot) -> None:
        swept = snapshot_of(
            tmp_path / "diverged",
            sweep_of(seeds=(0, 1, 2), learning_rates=(0.1, 0.2), epochs=1),
            lambda job: row(job, [0.5], "diverged" if job.seed and job.options.learning_rate == 0.2 else "succeeded"),
        )
        chart = catalogue.named(swept, "intervals")
        assert "hollow: another one beats it, or most of its jobs diverged" in chart.caption
        assert "no candidate, as most of its jobs diverged" in json.dumps(chart.specification)
        assert "most of its jobs" not in catalogue.named(mixed, "intervals").caption

    def test_the_table_has_every_configuration(self, mixed: Snapshot) -> None:
        table = catalogue.named(mixed, "intervals").table
        first = mixed.leaderboard.standings[0]
        assert table.total == len(table.rows) == len(RATES)
        assert list(table.rows[0]) == [
            f"learning rate {first.options['learning_rate']}", "6/6", *(f"{100 * each:.2f}" for each in
            (first.mean, first.low, first.high)), "yes" if first.contender else "no", "0",
        ]  # fmt: skip


class TestByAxis:
    def test_a_value_has_the_jobs_of_all_its_configurations(self, tmp_path: Path) -> None:
        swept = snapshot_of(
            tmp_path,
            sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.01), hidden=((8, 4), (16, 8)), epochs=1),
            lambda job: row(job, [job.options.learning_rate + job.options.hidden_layer_sizes[0] / 100]),
        )
        found = by_axis.values_of(swept, "learning_rate")
        # By size, and not in the order of the sweep.
        assert [each.value for each in found] == [0.01, 0.1]
        assert [each.mean for each in found] == [pytest.approx(0.01 + 0.12), pytest.approx(0.1 + 0.12)]
        assert [len(each.scores) for each in found] == [4, 4]
        assert catalogue.names(swept) == (
            "intervals", "metric-by-learning_rate", "metric-by-hidden_layer_sizes", "heatmap", "differences",
        )  # fmt: skip

    def test_no_job_hides_another_one_at_its_value(self, tmp_path: Path) -> None:
        # Given two configurations at each value, of which every second job diverged, and the others are equal
        swept = snapshot_of(
            tmp_path,
            sweep_of(seeds=(0, 1, 2, 3), learning_rates=(0.1, 0.01), hidden=((8, 4), (16, 8)), epochs=1),
            lambda job: row(job, [0.5], "diverged" if job.seed % 2 else "succeeded"),
        )
        found = by_axis.charts(swept)[0].specification["datasets"].values()
        places = [(each["x"], each["y"]) for values in found for each in values if "said" in each and "x2" not in each]
        assert len(places) == len(set(places)) == len(swept.jobs)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ((0.001, 0.003, 0.01, 0.1), True),
            ((0.01, 0.1), True),
            ((0.1, 0.2), False),
            ((1, 2, 3, 4, 5), False),
            ((2, 4, 8, 16), True),
            ((0.0, 0.1, 1.0), False),
            ((-1.0, 1.0), False),
            ((5.0,), False),
        ],
    )
    def test_values_in_ratios_have_a_logarithmic_axis(self, values: tuple[float, ...], expected: bool) -> None:
        assert is_in_ratios(values) is expected


class TestHeatmap:
    @pytest.fixture
    def swept(self, tmp_path: Path) -> Snapshot:
        return snapshot_of(
            tmp_path,
            sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.2), hidden=((8, 4), (16, 8)), epochs=1),
            lambda job: row(job, [job.options.learning_rate + job.options.hidden_layer_sizes[0] / 100]),
        )

    def test_a_cell_has_the_mean_of_its_standing(self, swept: Snapshot) -> None:
        across, up = heatmap.sides(swept)
        found = {(across.levels[cell.across], up.levels[cell.up]): cell for cell in heatmap.cells(swept)}
        for standing in swept.leaderboard.standings:
            rate, hidden = standing.options["learning_rate"], standing.options["hidden_layer_sizes"]
            cell = found[str(rate), ",".join(map(str, hidden))]
            assert (cell.mean, cell.n, cell.is_contender) == (standing.mean, standing.n, standing.contender)

    def test_another_number_of_options_has_none_and_says_why(self, mixed: Snapshot) -> None:
        assert heatmap.chart(mixed) is None
        with pytest.raises(InvalidInputError, match="because it needs exactly two options that vary, not 1"):
            catalogue.named(mixed, "heatmap")


class TestDifferences:
    def test_a_row_has_the_verdicts_figures(self, mixed: Snapshot) -> None:
        verdict = mixed.leaderboard.verdict
        assert verdict.beaten is not None
        gap = next(
            each for each in differences.gaps(mixed) if each.other.standing.options == dict(verdict.beaten.options)
        )
        assert gap.difference.mean == pytest.approx(verdict.beaten.difference)
        assert gap.difference.interval is not None
        assert gap.difference.interval.half_width == pytest.approx(verdict.beaten.margin, abs=1e-12)

    def test_only_what_the_leader_beats_is_beaten_by_it(self, tmp_path: Path) -> None:
        # Given a leader with two seeds that beats nothing, and a second one that beats the third
        def ended(job: Job) -> Row | None:
            if job.options.learning_rate == 0.1:
                return row(job, [(0.962, 0.950)[job.seed]]) if job.seed < 2 else None
            return row(job, [0.95 - 0.05 * (job.options.learning_rate == 0.01) + job.seed / 1e4])

        swept = snapshot_of(tmp_path, sweep_of(seeds=tuple(range(8)), learning_rates=RATES, epochs=1), ended)
        chart = catalogue.named(swept, "differences")
        said = json.dumps(chart.specification)
        assert [each.options["learning_rate"] for each in swept.leaderboard.standings] == [0.1, 0.03, 0.01]
        assert swept.leaderboard.verdict.beaten is None
        assert "another one beats it" in said
        assert "; beaten" not in said
        assert "hollow: one that is beaten, by the leader or another one" in chart.caption

    def test_every_common_seed_is_a_dot(self, mixed: Snapshot) -> None:
        first, *others = mixed.leaderboard.standings
        own = {job.seed: job.score for job in first.jobs}
        for gap, standing in zip(differences.gaps(mixed), others, strict=True):
            theirs = {job.seed: job.score for job in standing.jobs if job.status == "succeeded"}
            assert gap.by_seed == pytest.approx({seed: own[seed] - score for seed, score in theirs.items()})

    def test_what_is_better_is_positive_also_where_lower_is(self, tmp_path: Path) -> None:
        with odd_trainer(tmp_path / "trainers"):
            swept = odd_snapshot(tmp_path, lambda job: [1.0, job.options.ratio + job.seed / 100], ratio=(0.2, 0.5))
            (gap,) = differences.gaps(swept)
            assert swept.leaderboard.standings[0].options["ratio"] == 0.2
            assert gap.difference.mean == pytest.approx(0.3)
            assert "lower is better" in json.dumps(catalogue.named(swept, "intervals").specification)


def odd_snapshot(
    output: Path, scores: Callable[[Job], list[float]], seeds: int = 3, **grid: tuple[Any, ...]
) -> Snapshot:
    """Return a sweep of the invented trainer, whose metric is an error rate."""
    specification = SweepSpecification(trainer="odd", data="any", seeds=tuple(range(seeds)), options={}, grid=grid)
    folder = folder_of(output / "runs", specification, lambda job: row(job, scores(job)), dataset=DATASET)
    return snapshot.take(folder)


#: Sweeps that are unlike others, by what a job's metric is after each epoch.
UNUSUAL: dict[str, tuple[Callable[[Job], list[float]], dict[str, Any]]] = {
    "one seed": (lambda job: [0.5, job.options.ratio], {"seeds": 1, "ratio": (0.1, 0.2)}),
    "one configuration": (lambda job: [0.5, job.seed / 10], {"ratio": (0.1,)}),
    "one epoch": (lambda job: [job.seed / 10], {"ratio": (0.1, 0.2)}),
    "nothing varies in the results": (lambda _: [0.0, 0.0], {"ratio": (0.1, 0.2)}),
    "the largest numbers": (lambda job: [-1e100, 1e100 * (job.seed - 1)], {"ratio": (0.1, 0.2)}),
    "decades": (lambda job: [1e4 * job.options.ratio, 1e3 * job.options.ratio], {"ratio": (1e-5, 1e-3, 0.1)}),
    "the smallest numbers": (
        lambda job: [1e100, job.options.ratio * (1 + job.seed)], {"ratio": (5e-324, 1e-300, 1e-90, 1e90)},
    ),
    "an option beyond axes": (lambda job: [1.0, job.seed / 10], {"ratio": (-1e308, 1e308), "depth": (1, 10**400)}),
    "negative": (lambda job: [-3.0, -2.0 - job.options.ratio], {"ratio": (-1.0, 0.0, 1.0)}),
    "a hundred configurations": (
        lambda job: [2.0, abs(job.options.ratio - 5) + job.seed], {"ratio": tuple((i + 1) / 7 for i in range(100))},
    ),
    "many values of two options": (
        lambda job: [1.0, job.options.ratio + job.seed / 10],
        {"ratio": tuple(i * 0.618 % 1 for i in range(1, 40)), "epochs": (1, 2)},
    ),
    "none, false and lists": (
        lambda job: [1.0, job.seed / 10], {"loss": (True, False), "depth": (None, 3), "widths": ((3, 2), (4, 1))},
    ),
    "texts": (lambda job: [1.0, len(job.options.text) + job.seed / 10], {"text": (*HOSTILE_TEXTS, "")}),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNUSUAL)
def test_charts_of_unusual_sweeps_are_valid_and_can_be_read(tmp_path: Path, kind: str) -> None:
    scores, words = UNUSUAL[kind]
    with odd_trainer(tmp_path / "trainers"):
        swept = odd_snapshot(tmp_path, lambda job: scores(job)[-job.epochs :], **words)
        found = catalogue.charts(swept)
        assert [chart.name for chart in found] == list(catalogue.names(swept))
        assert {"intervals", "curves"} <= {chart.name for chart in found} or kind == "one epoch"
        for chart in found:
            # By the schema of Vega-Lite; the data is checked by what is drawn of it.
            shape = {name: value for name, value in chart.specification.items() if name != "datasets"}
            altair.LayerChart.from_dict(shape, validate=True)
            assert 1 <= len(chart.table.rows) <= 500
            assert {len(row) for row in chart.table.rows} == {len(chart.table.headings)}
            texts = [each.text or "" for each in parsed(drawing.svg(chart)).iter() if each.tag.endswith("text")]
            assert all(text.isprintable() and len(text) < 80 for text in texts)
            assert not any("NaN" in text or "undefined" in text for text in texts)


class TestHostileText:
    def test_labels_are_short_and_unlike_and_descriptions_whole(self, tmp_path: Path) -> None:
        texts = (*HOSTILE_TEXTS, "x" * 200 + "a" + "x" * 99, "x" * 200 + "b" + "x" * 99)
        with odd_trainer(tmp_path / "trainers"):
            swept = odd_snapshot(tmp_path, lambda job: [0.5, 0.1 * job.seed], text=texts)
            every = configurations.drawn(swept)
            assert len({each.label for each in every}) == len(texts)
            assert max(len(each.label) for each in every) <= 30
            svg = drawing.svg(catalogue.named(swept, "intervals"))
        found = "\n".join(each.get("aria-label", "") for each in parsed(svg).iter())
        for text in texts:
            assert labels.plain(text) in found
        assert all(label.isprintable() for label in found.splitlines())
        assert "<script" not in svg
        assert "<img" not in svg

    def test_what_xml_forbids_is_replaced(self) -> None:
        assert labels.plain("a\ufffe\ue000b\x00\u202e\n") == "a\ufffd\ufffdb\\x00\\u202e\\n"


class TestLargeSweeps:
    """Beyond `MOST_JOBS`, there are bands and bins; a smaller limit shows that without thousands of jobs."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (configurations, intervals, by_axis, curves, differences):
            monkeypatch.setattr(module, "MOST_JOBS", 5)

    def test_no_job_has_a_mark_of_its_own(self, mixed: Snapshot) -> None:
        for name in ("intervals", "metric-by-learning_rate", "curves", "differences"):
            chart = catalogue.named(mixed, name)
            marks = [each for each in parsed(drawing.svg(chart)).iter() if each.get("class") == "mark"]
            assert marks, name
            assert not [each for each in marks if each.get("data-seed")], name

    def test_bins_have_every_job_once(self, mixed: Snapshot) -> None:
        svg = drawing.svg(catalogue.named(mixed, "metric-by-learning_rate"))
        said = [each.get("aria-label", "") for each in parsed(svg).iter() if each.get("class") == "mark"]
        counts = [int(found[1]) for text in said if (found := re.search(r": (\d+) jobs?$", text))]
        assert sum(counts) == sum(standing.n for standing in mixed.leaderboard.standings)

    def test_bars_are_the_middle_of_the_seeds(self, mixed: Snapshot) -> None:
        found = intervals.rows(configurations.drawn(mixed), mixed.leaderboard.metric, each_job=False)
        for each, standing in zip(found, mixed.leaderboard.standings, strict=True):
            scores = [100 * job.score for job in standing.jobs if job.status == "succeeded" and job.score is not None]
            assert each.middle == pytest.approx((np.quantile(scores, 0.1), np.quantile(scores, 0.9)))


def test_many_options_have_no_dot_for_each_job_in_each_of_their_charts(
    mixed: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_axis, "MOST_DOTS", len(mixed.jobs) - 1)
    assert "data-seed" not in drawing.svg(catalogue.named(mixed, "metric-by-learning_rate"))
    assert "data-seed" in drawing.svg(catalogue.named(mixed, "intervals"))


class TestColours:
    @pytest.mark.parametrize("theme", [style.LIGHT, style.DARK], ids=["light", "dark"])
    def test_marks_and_text_have_enough_contrast(self, theme: Mapping[str, str]) -> None:
        for name in ("1", "2", "3", "4", "5", "6", "other", "lost", "axis"):
            assert contrast(theme[name], theme["ground"]) >= 3, name
        # Labels have the colours of their lines.
        for name in ("ink", "quiet", "1", "2", "3", "4", "5", "6"):
            assert contrast(theme[name], theme["ground"]) >= 4.5, name
        for ground, ink in style.HEAT:
            names = {colour: name for name, colour in style.LIGHT.items()}
            assert contrast(theme[names[ground]], theme[names[ink]]) >= 4.5, ground

    def test_themes_have_the_same_colours_each_once(self) -> None:
        assert style.LIGHT.keys() == style.DARK.keys()
        assert len(set(style.LIGHT.values())) == len(style.LIGHT)


def contrast(a: str, b: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio" and "relative luminance")."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    shares = [each / 255 for each in bytes.fromhex(colour[1:])]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class TestScales:
    def test_labels_are_moved_apart_and_keep_their_order(self) -> None:
        assert apart([10, 11, 12, 90], 15, 100) == [10, 25, 40, 90]
        assert apart([98, 99, 10], 15, 100) == [85, 100, 10]
        assert apart([], 15, 100) == []

    def test_bins_of_few_values_have_one_each(self) -> None:
        scale = Scale.of([0.001, 0.01, 0.1], is_log=True)
        ends = bins.around([0.001, 0.01, 0.1], scale, 40)
        assert ends[1:-1] == pytest.approx([10**-2.5, 10**-1.5])
        assert [bins.index(ends, value) for value in (0.0, 0.001, 0.01, 0.1, 1.0)] == [0, 0, 1, 2, 2]
        assert len(bins.around(list(range(100)), Scale(0.0, 99.0), 40)) == 41


@pytest.mark.process
def test_two_processes_draw_the_same_bytes(tmp_path: Path) -> None:
    """Also where the hashes of texts differ, by which Python orders sets."""
    snapshot_of(tmp_path, sweep_of(seeds=tuple(range(6)), learning_rates=RATES, epochs=EPOCHS), ended)
    program = (
        "import hashlib, pathlib; from orchestrator.folder.sweep_folder import SweepFolder\n"
        "from orchestrator.report import snapshot; from orchestrator.report.charts import catalogue, drawing\n"
        f"taken = snapshot.take(SweepFolder(pathlib.Path({str(tmp_path)!r}), 'a'))\n"
        "for chart in catalogue.charts(taken):\n"
        "    made = (drawing.svg(chart).encode(), drawing.standalone_svg(chart), drawing.png(chart))\n"
        "    print(chart.name, *(hashlib.sha256(each).hexdigest() for each in made))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert printed.pop().count(b"\n") == 4


class TestInlinedSvg:
    def test_a_page_with_a_strict_policy_may_hold_it(self, mixed: Snapshot) -> None:
        for chart in catalogue.charts(mixed):
            svg = drawing.svg(chart)
            for element in parsed(svg).iter():
                assert element.tag.rpartition("}")[2] in {
                    "svg", "g", "path", "circle", "line", "rect", "text", "tspan", "defs", "clipPath",
                }  # fmt: skip
                assert not {name for name in element.attrib if name == "style" or "href" in name or name[:2] == "on"}
            assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]

    def test_every_job_is_a_mark_with_its_seed_and_its_name(self, mixed: Snapshot) -> None:
        chart = catalogue.named(mixed, "curves")
        marks = [each for each in parsed(drawing.svg(chart)).iter() if each.get("data-seed")]
        assert len(marks) == len([row for row in mixed.rows.values() if row.accepted])
        assert all(each.get("aria-label", "").startswith(f"seed {each.get('data-seed')}, ") for each in marks)

    def test_ids_of_two_charts_differ(self, mixed: Snapshot) -> None:
        svgs = [drawing.svg(chart) for chart in catalogue.charts(mixed)]
        ids = [each.get("id") for svg in svgs for each in parsed(svg).iter() if each.get("id")]
        assert len(ids) == len(set(ids))
        used = {found for svg in svgs for found in re.findall(r"url\(#([^)]+)\)", svg)}
        assert used <= set(ids)
