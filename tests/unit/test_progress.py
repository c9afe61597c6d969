"""What progress says of a sweep: which configuration leads, and a line for each job."""

import io
import random
import re

import pytest
from rich.console import Console

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard.scores import ranked
from orchestrator.cli.shared import progress
from orchestrator.cli.shared.progress import LiveProgress, PlainProgress
from orchestrator.folder.activity import Activity
from orchestrator.folder.rows import Row
from orchestrator.sweeps.names import JobNames
from tests.support.sweep_folders import row, unsaved
from tests.support.sweeps import sweep_of
from worker.records.report import Report

SPECIFICATION = sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.2, 1e300), epochs=1)
JOBS = {job.key: job for job in SPECIFICATION.jobs(MNIST_DIGEST)}

STATUSES = ("succeeded", "succeeded", "diverged", "failed")


def ended(seed: int, learning_rate: float, accuracy: float, status: str = "succeeded") -> Row:
    job = next(job for job in JOBS.values() if (job.seed, job.options.learning_rate) == (seed, learning_rate))
    return row(job).model_copy(update={"validation_score": [accuracy], "status": status, "error": "NaN"})


def heartbeat(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> str:
    """Return the line that plain progress prints when nothing has happened for a while after these rows."""
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", -1.0)
    file = io.StringIO()
    plain = PlainProgress(Console(file=file), unsaved(JOBS))
    for each in rows:
        plain.finished(each)
    plain.underway(None)
    return file.getvalue().splitlines()[-1]


def test_a_diverged_job_does_not_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    diverged = ended(0, 1e300, 0.1, "diverged")
    assert heartbeat(monkeypatch, diverged) == "1 of 6 jobs"
    # Beside a seed that succeeded, it is counted, and said.
    assert heartbeat(monkeypatch, diverged, ended(1, 1e300, 0.5)) == (
        "2 of 6 jobs, leading so far: learning rate 1e+300, mean 50.00 % (1 of 2 seeds, 1 diverged)"
    )


def test_the_leader_is_that_of_the_leaderboard_however_jobs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    luck, metric = random.Random(1), next(iter(JOBS.values())).metric
    for _ in range(50):
        rows = [
            ended(job.seed, job.options.learning_rate, luck.choice((0.1, 0.7, 0.8)), luck.choice(STATUSES))
            for job in luck.sample(list(JOBS.values()), luck.randint(1, len(JOBS)))
        ]
        first = ranked(JOBS, {each.job: each for each in rows}, metric)[0]
        line = heartbeat(monkeypatch, *rows)
        assert ("leading" in line) == (first.mean is not None)
        if first.mean is not None:
            assert f"{JobNames(JOBS.values()).configuration(first.options)}, mean {metric.shown(first.mean)} (" in line


def test_a_first_batch_is_named_by_what_its_sampler_varies() -> None:
    # Given the jobs of one configuration, the first that a sampler has drawn
    first = {key: job for key, job in JOBS.items() if job.options.learning_rate == 0.1}
    file = io.StringIO()
    plain = PlainProgress(Console(file=file, width=200), unsaved(first, {}, "learning_rate", "biases"))
    # When one of them ends, and one of a later batch
    plain.finished(ended(0, 0.1, 0.9))
    first |= {key: job for key, job in JOBS.items() if job.options.learning_rate == 0.2}
    plain.finished(ended(0, 0.2, 0.9))
    # Then both lines name their configurations.
    lines = file.getvalue().splitlines()
    assert lines[0].startswith("[1/2] seed 0, learning rate 0.1, biases false: 90.00 %")
    assert lines[1].startswith("[2/4] seed 0, learning rate 0.2, biases false: 90.00 %")


def test_long_names_leave_room_for_the_figures_of_running_jobs() -> None:
    # Given a terminal of 60 columns, and jobs with long names
    axes = "learning_rate", "hidden_layer_sizes", "initialization", "biases"
    console = Console(file=io.StringIO(), width=60, height=24, force_terminal=True)
    live = LiveProgress(console, unsaved(JOBS, {}, *axes))
    # When some are shown while they run
    report = Report(epoch=1, validation_score=[0.9731], seconds=1.0, slowest_epoch=1.0, at=1e9, worker="w", attempt=1)
    live.underway(Activity(began=0.0, at=1.0, running=len(JOBS), jobs=dict.fromkeys(JOBS, report)))
    with console.capture() as capture:
        console.print(live)
    # Then each line has its seed, its epoch and its accuracy.
    shown = [line for line in re.sub(r"\x1b\[[\d;?]*\w", "", capture.get()).splitlines() if line.startswith("seed ")]
    assert len(shown) == len(JOBS)
    assert all("epoch 1/1" in line and "97.31 %" in line and len(line) <= 60 for line in shown), shown
