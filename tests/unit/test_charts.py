"""Charts: their data against the leaderboard's numbers, and their colours."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from orchestrator.analysis.leaderboard.judgement import at_most
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli import plot
from orchestrator.report.charts import catalogue, configurations, labels, style
from orchestrator.report.charts.kinds import by_axis, curves, differences, heatmap, intervals
from orchestrator.report.charts.marks.canvas import Scale, apart, is_in_ratios
from tests.support.boards import sweep_with
from tests.support.charted import EPOCHS, RATES, chart_of, charts_of, mixed_sweep, odd_snapshot, scored_row
from tests.support.exported import odd_trainer
from tests.support.known import known
from tests.support.sweep_folders import snapshot_of
from tests.support.sweeps import sweep_of


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return mixed_sweep(tmp_path_factory.mktemp("mixed"))


def of_two_options(output: Path) -> Sweep:
    """Return a sweep of two learning rates and two networks, whose scores follow from both."""
    return snapshot_of(
        output,
        sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.01), hidden=((8, 4), (16, 8)), epochs=1),
        lambda job: scored_row(job, [job.options.learning_rate + job.options.hidden_layer_sizes[0] / 100]),
    )


class TestCurves:
    def test_the_last_points_are_the_leaderboards_figures(self, mixed: Sweep) -> None:
        found = curves.curves(mixed)
        assert len(found) == len(RATES)
        for curve, standing in zip(found, mixed.leaderboard.standings, strict=True):
            end = curve.points[-1]
            assert (end.epoch, end.n, end.mean) == (EPOCHS, standing.n, standing.mean)
            if end.interval is None:
                assert (standing.n, standing.low) == (3, None)
            else:
                assert (end.interval.low, end.interval.high) == pytest.approx((standing.low, standing.high))

    def test_what_diverged_is_drawn_and_counted_by_no_mean(self, mixed: Sweep) -> None:
        first = next(each for each in curves.curves(mixed) if each.configuration.name == "learning rate 0.1")
        assert first.diverged == {3}
        assert first.jobs[3] == [(1, 0.3), (2, 0.1)]
        assert [point.n for point in first.points] == [3, 3, 3]
        assert sorted(first.jobs) == [0, 1, 2, 3]

    def test_long_ones_label_the_first_and_the_last_epoch(self, tmp_path: Path) -> None:
        grid = sweep_of(seeds=(0, 1), learning_rates=RATES, epochs=801)
        long = snapshot_of(tmp_path, grid, lambda job: scored_row(job, [0.5] * 801))
        told = json.dumps(chart_of(long, "curves").specification)
        assert '"values": [1, 101, 201, 301, 401, 501, 601, 701, 801]' in told


def test_a_survivor_far_off_is_at_the_edge_with_its_number(tmp_path: Path) -> None:
    # Given two learning rates with results around 97 %, but for one seed at 11 %
    far = {(3, 0.1): 0.1124}
    swept = snapshot_of(
        tmp_path,
        sweep_of(seeds=tuple(range(12)), learning_rates=(0.1, 0.01), biases=(False, True), epochs=2),
        lambda job: scored_row(
            job, [0.96, far.get((job.seed, job.options.learning_rate + job.options.biases), 0.97 + job.seed / 1000)]
        ),
    )
    # Then each axis shows where the others are, and the seed's number is at its edge
    rows = intervals.rows(swept)
    assert rows.scale.low > 95
    assert {strip.label: rows.scale.beyond(strip.values) for strip in rows.strips}["0.1 · false"] == {False: "◂ 11.24"}
    assert by_axis.Axis.of(swept, "metric-by-learning_rate").up.low > 95
    for name, text in (
        ("intervals", "◂ 11.24"),
        ("metric-by-learning_rate", "▾ 11.24"),
        ("curves", "0.1 · false ▾ 90"),
    ):
        assert text in json.dumps(chart_of(swept, name).specification["datasets"], ensure_ascii=False)
    drawing = plot.drawn(plot.plot(swept, "intervals"), 80)
    assert any("◂ 11.24" in line for line in drawing)
    # And in the heat map, the others keep their colours apart
    cells = next(iter(chart_of(swept, "heatmap").specification["datasets"].values()))
    assert sorted(cell["share"] for cell in cells)[0] == 0


class TestIntervals:
    def test_bars_of_a_large_sweep_are_the_middle_of_the_seeds(
        self, mixed: Sweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(configurations, "MOST_JOBS", 5)
        for row, each in zip(intervals.rows(mixed).strips, mixed.scored, strict=True):
            ends = np.quantile([100 * score for score in each.trained.values()], (0.1, 0.9))
            assert (row.middle, list(row.dots)) == (pytest.approx(tuple(ends)), [])

    def test_what_mostly_diverged_is_not_said_to_be_ruled_out(self, tmp_path: Path, mixed: Sweep) -> None:
        swept = sweep_with(tmp_path, {0.1: [0.5] * 3, 0.2: [0.5, "diverged", "diverged"]})
        chart = chart_of(swept, "intervals")
        assert "hollow: ruled out, or more of its jobs diverged than trained" in chart.caption
        assert "no candidate, as more of its jobs diverged than trained" in json.dumps(chart.specification)
        assert "more of its jobs" not in chart_of(mixed, "intervals").caption

    def test_the_table_has_every_configuration(self, mixed: Sweep) -> None:
        table = chart_of(mixed, "intervals").table
        first = mixed.leaderboard.standings[0]
        assert len(table.rows) == len(RATES)
        assert list(table.rows[0]) == [
            f"learning rate {first.options['learning_rate']}", "6/6", *(f"{100 * each:.2f}" for each in
            (first.mean, first.low, first.high)), "yes" if first.contender else "no", "0",
        ]  # fmt: skip


class TestByAxis:
    def test_a_value_has_the_jobs_of_all_its_configurations(self, tmp_path: Path) -> None:
        swept = of_two_options(tmp_path)
        found = by_axis.Axis.of(swept, "metric-by-learning_rate").values
        # By size, and not in the order of the sweep.
        assert list(found) == [0.01, 0.1]
        assert [each.mean for each in found.values()] == [pytest.approx(0.01 + 0.12), pytest.approx(0.1 + 0.12)]
        assert [len(each.scores) for each in found.values()] == [4, 4]
        assert catalogue.names(swept) == (
            "intervals", "metric-by-learning_rate", "metric-by-hidden_layer_sizes", "heatmap", "differences",
        )  # fmt: skip

    def test_no_job_hides_another_one_at_its_value(self, tmp_path: Path) -> None:
        # Given two configurations at each value, of which every second job diverged, and the others are equal
        swept = snapshot_of(
            tmp_path,
            sweep_of(seeds=(0, 1, 2, 3), learning_rates=(0.1, 0.01), hidden=((8, 4), (16, 8)), epochs=1),
            lambda job: scored_row(job, [0.5], "diverged" if job.seed % 2 else "succeeded"),
        )
        found = chart_of(swept, "metric-by-learning_rate").specification["datasets"].values()
        places = [(each["x"], each["y"]) for values in found for each in values if "diverged" in each]
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
    def test_a_cell_has_the_mean_of_its_standing(self, tmp_path: Path) -> None:
        swept = of_two_options(tmp_path)
        across, up = heatmap.sides(swept)
        found = heatmap.cells(swept, across, up)
        for standing in swept.leaderboard.standings:
            rate, hidden = standing.options["learning_rate"], standing.options["hidden_layer_sizes"]
            cell = found[str(rate), ",".join(map(str, hidden))]
            assert (cell.mean, len(cell.scores), cell.is_contender) == (standing.mean, standing.n, standing.contender)


class TestDifferences:
    def test_a_row_has_the_verdicts_figures_and_ends_at_the_regret(self, tmp_path: Path) -> None:
        noise = {0.1: (0, 2, 1, 3, 2), 0.03: (3, 1, 2, 2, 1), 0.01: (0, 1, 0, 1, 0)}
        outcomes = {rate: [0.5 + (rate > 0.01) / 4 + each / 100 for each in values] for rate, values in noise.items()}
        swept = sweep_with(tmp_path, outcomes)
        verdict, metric = swept.leaderboard.verdict, swept.names.metric
        rival, out = differences.gaps(swept)
        assert [rival.mean] == [pytest.approx(each.difference) for each in verdict.rivals]
        assert rival.n == out.n == 5
        chart = chart_of(swept, "differences")
        for gap, end in ((rival, "may be the best"), (out, "ruled out")):
            regret = known(gap.other.standing.regret)
            said = f", at most {at_most(metric, regret)} worse than the best, 5 pairs of seeds; {end}"
            assert said in json.dumps(chart.specification)
            assert at_most(metric, regret) in {f"{cell} points" for row in chart.table.rows for cell in row}

    def test_what_is_ruled_out_is_said_to_be_by_whomever(self, tmp_path: Path) -> None:
        # Given a leader with two seeds that rules out nothing, and a second one that rules out the third
        second, third = ([score + seed / 1e4 for seed in range(8)] for score in (0.95, 0.90))
        swept = sweep_with(tmp_path, {0.1: [0.962, 0.950, *["failed"] * 6], 0.03: second, 0.01: third})
        chart = chart_of(swept, "differences")
        standings = swept.leaderboard.standings
        assert [each.options["learning_rate"] for each in standings] == [0.1, 0.03, 0.01]
        assert [each.contender for each in standings] == [True, True, False]
        assert [json.dumps(chart.specification).count(said) for said in ("; may be the best", "; ruled out")] == [1, 1]
        assert "hollow: one that is ruled out" in chart.caption

    def test_every_common_seed_is_a_dot(self, mixed: Sweep) -> None:
        first, *others = mixed.leaderboard.standings
        own = {job.seed: job.score for job in first.jobs}
        for gap, standing in zip(differences.gaps(mixed), others, strict=True):
            theirs = {job.seed: job.score for job in standing.jobs if job.status == "succeeded"}
            assert gap.by_seed == pytest.approx({seed: own[seed] - score for seed, score in theirs.items()})

    def test_while_a_sweep_runs_only_what_can_be_compared_is_shown(self, tmp_path: Path) -> None:
        sweep = sweep_of(seeds=(0, 1, 2), learning_rates=(0.01, 0.02, 0.03, 0.04), epochs=1)
        for first, shown in ((frozenset(), 0), ({0.03, 0.04}, 1)):
            # Given jobs of which the first seed is missing, but for these learning rates
            swept = snapshot_of(
                tmp_path / str(shown),
                sweep,
                lambda job, first=first: (
                    scored_row(job, [0.5 + job.options.learning_rate + job.seed / 100])
                    if job.seed or job.options.learning_rate in first
                    else None
                ),
            )
            assert (differences.absent(swept) is None) == (shown > 0)
            assert len(differences.gaps(swept)) == shown
            assert "nan" not in str(charts_of(swept))

    def test_what_is_better_is_positive_also_where_lower_is(self, tmp_path: Path) -> None:
        with odd_trainer(tmp_path / "trainers"):
            swept = odd_snapshot(tmp_path, lambda job: [1.0, job.options.ratio + job.seed / 100], ratio=(0.2, 0.5))
            (gap,) = differences.gaps(swept)
            assert swept.leaderboard.standings[0].options["ratio"] == 0.2
            assert gap.mean == pytest.approx(0.3)
            assert "lower is better" in json.dumps(chart_of(swept, "intervals").specification)


def test_what_xml_forbids_is_replaced() -> None:
    assert labels.plain("a\ufffe\ue000b\x00\u202e\n") == "a\ufffd\ufffdb\\x00\\u202e\\n"


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
    def test_without_a_score_the_scale_shows_all_shares(self) -> None:
        assert Scale.around([], is_share=True) == Scale(0.0, 100.0)

    def test_a_scale_is_never_too_narrow_for_its_steps(self) -> None:
        assert Scale.of([1e-310, 3e-310]) == Scale(-1.0, 1.0)

    def test_labels_are_moved_apart_and_keep_their_order(self) -> None:
        assert apart([10, 11, 12, 90], 15, 100) == [10, 25, 40, 90]
        assert apart([98, 99, 10], 15, 100) == [85, 100, 10]
        assert apart([], 15, 100) == []
