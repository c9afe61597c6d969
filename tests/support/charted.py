"""Sweeps to draw charts of, which nobody has trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row, lost_row
from orchestrator.report.charts.catalogue import KINDS, check
from orchestrator.report.contents.parts import Chart
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.exported import DATASET
from tests.support.sweep_folders import filled, row, snapshot_of
from tests.support.sweeps import sweep_of
from worker.job import Job

RATES = (0.01, 0.03, 0.1)
EPOCHS = 3


def scored_row(job: Job, scores: list[float], status: str = "succeeded") -> Row:
    others = dict.fromkeys(job.others, scores)
    return row(job, scores=tuple(scores), status=status, others=others, weights_sha256=job.key)


def _ended(job: Job) -> Row | None:
    """End a job: the rates are 0.1 apart, seed 3 of rate 0.1 diverges, seed 4 fails, seed 5 has not ended."""
    last = 0.5 + 0.1 * RATES.index(job.options.learning_rate) + 0.01 * job.seed
    if job.options.learning_rate == 0.1 and job.seed >= 3:
        endings = {3: scored_row(job, [0.3, 0.1], "diverged"), 4: lost_row(job, "failed", "it broke")}
        return endings.get(job.seed)
    return scored_row(job, [last - 0.2, last - 0.1, last])


def mixed_sweep(output: Path) -> Sweep:
    """Return a sweep whose jobs ended in every way: see `_ended`."""
    return snapshot_of(output, sweep_of(seeds=tuple(range(6)), learning_rates=RATES, epochs=EPOCHS), _ended)


def odd_snapshot(output: Path, scores: Callable[[Job], list[float]], seeds: int = 3, **grid: tuple[Any, ...]) -> Sweep:
    """Return a sweep of the invented trainer, whose metric is an error rate."""
    specification = SweepSpecification(trainer="odd", data="any", seeds=tuple(range(seeds)), options={}, grid=grid)
    folder = filled(output / "runs", specification, lambda job: scored_row(job, scores(job)), dataset=DATASET)
    return Sweep.read(folder)


def charts_of(sweep: Sweep) -> list[Chart]:
    """Return all charts of a sweep."""
    return [kind.draw(sweep, name) for kind in KINDS for name in kind.names(sweep)]


def chart_of(sweep: Sweep, name: str) -> Chart:
    """Return the chart of a sweep with a name."""
    return check(sweep, name, "--chart").draw(sweep, name)
