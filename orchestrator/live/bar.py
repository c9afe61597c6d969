"""What goes on in a sweep that has not ended, for the line above its page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.analysis.summary import Summary
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.activity import Activity
from orchestrator.report.charts.marks.canvas import Scale
from orchestrator.text import counted
from worker.records.report import Report

#: The pixels of a curve, and the most running jobs: more hide the verdict on a phone.
WIDTH, HEIGHT = 60, 16
MOST_JOBS = 6


def progress(sweep: Sweep, stands: Summary) -> dict[str, Any]:
    """Return the jobs that have ended, and, while the sweep runs, what its session wrote last."""
    found = Activity.read(sweep.folder.path) if stands.state == "running" else None
    if found is None:
        figures = [f"{stands.done} of {counted(stands.planned, 'job')}"]
        return {"done": stands.done, "planned": stands.planned, "figures": figures, "jobs": []}
    ended = {key for key, row in sweep.rows.items() if row.accepted}
    shown = [(key, each) for key, each in found.jobs.items() if key in sweep.jobs.keys() - ended]
    jobs = [_job(sweep, key, each) for key, each in shown[:MOST_JOBS]]
    return {"done": found.done, "planned": found.planned, "figures": list(found.figures()), "jobs": jobs}


def _job(sweep: Sweep, key: str, report: Report | None) -> dict[str, str]:
    """Return a running job: its name, its epoch and metric, and the points of its curve."""
    job = sweep.jobs[key]
    told = {"name": sweep.names.job(job.seed, job.options), "text": "begins", "points": ""}
    if report is not None:
        last = [sweep.names.own_metric.shown(score) for score in report.validation_score[-1:]]
        told["text"] = f"{', '.join([f'epoch {report.epoch} of {job.epochs}', *last])} on {report.worker}"
        told["points"] = " ".join(_points(report.validation_score, min(report.epoch / job.epochs, 1.0)))
    return told


def _points(scores: list[float], share: float) -> Iterator[str]:
    if len(scores) > 1:
        scale = Scale.of(scores)
        for i, score in enumerate(scores):
            yield f"{share * WIDTH * i / (len(scores) - 1):.1f},{HEIGHT * (1 - scale.share(score)):.1f}"


def picture(found: Summary) -> list[tuple[float, float, float]]:
    """Return the low end, the mean and the high end of each configuration of a summary, in percent of its width."""
    scale = Scale.of([mean for mean, _, _ in found.means])
    return [
        (100 * scale.share(mean if low is None else low), 100 * scale.share(mean),
         100 * scale.share(mean if high is None else high))
        for mean, low, high in found.means
    ]  # fmt: skip
