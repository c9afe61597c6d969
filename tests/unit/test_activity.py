"""What a session tells while it trains: how long the rest takes, which configuration leads, a line for each job."""

from __future__ import annotations

import heapq
import io
import random
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard.scores import ranked
from orchestrator.cli.shared import progress
from orchestrator.cli.shared.progress import LiveProgress, PlainProgress
from orchestrator.folder.activity import Activity
from orchestrator.folder.rows import Row
from orchestrator.folder.sweeps import PROGRESS
from orchestrator.running.underway import Forecast, Underway
from orchestrator.sweeps.names import JobNames
from tests.support.memory import at_most
from tests.support.sweep_folders import row, unsaved
from tests.support.sweeps import sweep_of
from worker.job import Job
from worker.records.report import Report

EPOCHS, POLL = 10, 1.0
#: Seconds that a process takes for a job besides training it.
AROUND = 0.4
#: The same for its first job, for which it loads data and compiles.
STARTING = 40.0
RATES = {0.1: 2.0, 0.2: 5.0, 0.3: 11.0}


@pytest.mark.parametrize("widths", [(4, 4), (4, 8), (8, 2)], ids=str)
def test_after_a_tenth_the_forecast_is_right_within_a_fifth(widths: tuple[int, int]) -> None:
    """Simulated: configurations of unlike cost, and workers that come or go after a tenth of the jobs."""
    before, after = widths
    jobs = sweep_of(seeds=tuple(range(40)), learning_rates=tuple(RATES), epochs=EPOCHS).jobs_by_key(MNIST_DIGEST)
    rows: dict[str, Row] = {}
    now = 0.0
    seen = Underway(jobs, rows, clock=lambda: now)
    queue, running, said = list(jobs.values())[::-1], list[tuple[float, str, Job]](), list[float]()
    changed = None
    while len(rows) < len(jobs):
        while running and running[0][0] <= now:
            _, key, job = heapq.heappop(running)
            seconds = RATES[job.options.learning_rate]
            rows[key] = row(job, scores=(0.5,) * EPOCHS, epoch_seconds=[seconds / EPOCHS] * EPOCHS)
            seen.finished(rows[key])
        is_early = len(rows) < len(jobs) / 10
        while queue and len(running) < (before if is_early else after):
            job = queue.pop()
            around = AROUND if now else STARTING
            heapq.heappush(running, (now + around + RATES[job.options.learning_rate], job.key, job))
        seen.running({key: report(job, now - ends) for ends, key, job in running}, [], {})
        found = seen.activity
        assert found is not None
        assert (found.planned, found.done, found.running) == (len(jobs), len(rows), len(running))
        # A worker that reports is there, although nobody has listed it yet.
        assert found.workers == any(report(job, now - ends) for ends, _, job in running)
        if not is_early:
            changed = now if changed is None else changed
            # A worker that has left is noticed when its jobs have ended.
            if not said and now > changed + max(RATES.values()):
                said += [now, found.left or 0.0, found.rate or 0.0]
        now += POLL
    at, left, rate = said
    assert left == pytest.approx(now - at, rel=0.2)
    assert rate > 0.0


def report(job: Job, after: float) -> Report | None:
    """Return the report of a job that ends in `-after` seconds."""
    seconds = RATES[job.options.learning_rate]
    done = int((seconds + after) / seconds * EPOCHS)
    return None if done < 1 else Report(
        epoch=done, validation_score=[0.5] * done, seconds=seconds * done / EPOCHS,
        slowest_epoch=1.0, at=0.0, worker="w", attempt=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "dataset", "seconds"),
    [({"limit": 9, "epochs": 6}, MNIST_DIGEST, 12.0), ({"limit": 90}, MNIST_DIGEST, 40.0),
     ({"limit": 90, "test_size": 9}, MNIST_DIGEST, 18.0 * 2), ({"limit": 90, "dtype": "float64"}, MNIST_DIGEST, 40.0),
     ({}, MNIST_DIGEST, 4.0 / 9 * 59_500), ({}, "0" * 64, 4.0), ({"limit": 9, "test_size": 18}, MNIST_DIGEST, 4.0)],
    ids=str,
)  # fmt: skip
def test_an_epoch_takes_time_in_proportion_to_its_samples(
    options: dict[str, Any], dataset: str, seconds: float
) -> None:
    def job(**options: Any) -> Job:
        return Job.of({"learning_rate": 0.1, "epochs": 1, **options}, seed=0, dataset=dataset)

    forecast = Forecast(
        [row(job(limit=9), epoch_seconds=[2.0]), row(job(limit=9, biases=True), epoch_seconds=[6.0])], dataset
    )
    assert forecast.left({"": job(**options)}, 1.0, {}) == pytest.approx(seconds)


MANY = f'{{"x": [{"[[]]," * 2**19}0]}}'


@pytest.mark.parametrize("text", ["{}", "[]", '{"began": 0, "at": -1}', '{"began": 0, "at": NaN}', "\0" * 2**23, MANY])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / PROGRESS).write_text(text)
    with at_most(10 * 2**20):
        assert Activity.read(tmp_path) is None


JOBS = sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.2, 1e300), epochs=1).jobs_by_key(MNIST_DIGEST)
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
    known = Report(epoch=1, validation_score=[0.9731], seconds=1.0, slowest_epoch=1.0, at=1e9, worker="w", attempt=1)
    live.underway(Activity(began=0.0, at=1.0, running=len(JOBS), jobs=dict.fromkeys(JOBS, known)))
    with console.capture() as capture:
        console.print(live)
    # Then each line has its seed, its epoch and its accuracy.
    shown = [line for line in re.sub(r"\x1b\[[\d;?]*\w", "", capture.get()).splitlines() if line.startswith("seed ")]
    assert len(shown) == len(JOBS)
    assert all("epoch 1/1" in line and "97.31 %" in line and len(line) <= 60 for line in shown), shown
