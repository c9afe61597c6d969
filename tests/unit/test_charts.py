"""Charts: their data against the leaderboard's numbers, and the SVG that a page may hold."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from orchestrator.folder.rows import Row, accepted_row, lost_row
from orchestrator.report.charts import catalogue, drawing
from orchestrator.report.charts.kinds import curves
from orchestrator.report.snapshot import Snapshot
from tests.support.snapshots import snapshot_of
from tests.support.sweeps import sweep_of
from worker.job import Job, Result

RATES = (0.01, 0.03, 0.1)
EPOCHS = 3


def row(job: Job, scores: list[float], status: str = "succeeded") -> Row:
    result = Result(
        job=job.key,
        status=status,
        validation_score=scores,
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
