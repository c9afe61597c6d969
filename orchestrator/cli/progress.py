"""Shows a sweep while it runs: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from orchestrator.cli.output import say
from orchestrator.folder.rows import Row
from orchestrator.text import counted
from worker.job import Job
from worker.records.report import Report
from worker.text import one_line

#: Seconds of silence after which plain output says that it is still there.
HEARTBEAT_SECONDS = 30.0
#: Columns of a terminal below which figures would be cut: it gets no bars.
NARROW = 60


class _Count:
    """What both ways of showing count: jobs that ended, epochs, and the best so far."""

    def __init__(self, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> None:
        self.jobs = jobs
        self.done = 0
        self.best: Row | None = None
        for row in rows.values():
            self.add(row)

    def add(self, row: Row) -> None:
        self.done += 1
        if row.accepted and (self.best is None or row.validation_accuracy[-1] > self.best.validation_accuracy[-1]):
            self.best = row

    @property
    def best_text(self) -> str:
        if self.best is None:
            return ""
        where = f"learning rate {self.best.learning_rate:g}, seed {self.best.seed}"
        return f"best {percent(self.best.validation_accuracy[-1])} ({where})"


def percent(accuracy: float) -> str:
    """Return an accuracy as it is shown everywhere: 97.31 %."""
    return f"{100 * accuracy:.2f} %"


class PlainProgress(AbstractContextManager["PlainProgress"]):
    """A line for each finished job, and one now and then in between."""

    def __init__(self, console: Console, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> None:
        self._console = console
        self._count = _Count(jobs, rows)
        self._last_line = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""

    def message(self, text: str) -> None:
        """Print it."""
        self._last_line = time.monotonic()
        say(self._console, text)

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Print how far the sweep is, if nothing was printed for a while."""
        if time.monotonic() - self._last_line > HEARTBEAT_SECONDS:
            best = f", {self._count.best_text}" if self._count.best else ""
            jobs = counted(len(self._count.jobs), "job")
            self.message(f"{self._count.done} of {jobs} done, {len(reports)} running{best}")

    def finished(self, row: Row) -> None:
        """Print the job's line."""
        self._count.add(row)
        total = str(len(self._count.jobs))
        self.message(f"[{self._count.done:>{len(total)}}/{total}] {describe(row)}")


def describe(row: Row) -> str:
    """Return a finished job as one line."""
    name = f"seed {row.seed}, learning rate {row.learning_rate:g}"
    if not row.accepted:
        return one_line(f"{name}: {row.status} ({row.error})")
    epochs = counted(len(row.validation_accuracy), "epoch")
    text = f"{name}: {percent(row.validation_accuracy[-1])} after {epochs}"
    if row.reused_from is not None:
        return one_line(f"{text}, reused from {row.reused_from}")
    diverged = f", diverged ({row.error})" if row.status == "diverged" else ""
    return one_line(f"{text}, {sum(row.epoch_seconds):.1f} s on {row.worker}{diverged}")


class LiveProgress(AbstractContextManager["LiveProgress"]):
    """An overall bar with the time that remains, and a bar for each running job."""

    def __init__(self, console: Console, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> None:
        self._count = _Count(jobs, rows)
        self._epochs_done = sum(jobs[key].epochs for key in rows)
        self._is_narrow = console.width < NARROW
        bar = [] if self._is_narrow else [BarColumn()]
        elapsed = [] if self._is_narrow else [TimeElapsedColumn()]
        self._overall = Bars(
            TextColumn("[bold]{task.description}"), *bar, TextColumn("{task.fields[done]}"),
            *elapsed, TextColumn("ETA"), TimeRemainingColumn(), console=console,
        )  # fmt: skip
        self._bars = Bars(
            TextColumn("{task.description}"), *bar, TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[accuracy]}"), console=console,
        )  # fmt: skip
        total = sum(job.epochs for job in jobs.values())
        self._sweep = self._overall.add_task("sweep", total=total, completed=self._epochs_done, done=self._done_text())
        self._shown: dict[str, TaskID] = {}
        self._live = Live(self._table(), console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the table and show the cursor again."""
        self._live.stop()

    def _done_text(self) -> str:
        return f"{self._count.done}/{len(self._count.jobs)} jobs"

    def _table(self) -> Group:
        return Group(self._overall, self._bars, Text(self._count.best_text))

    def message(self, text: str) -> None:
        """Print it above the table."""
        say(self._live.console, text)

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Move the bars."""
        trained = self._epochs_done
        for key, report in reports.items():
            epoch = 0 if report is None else report.epoch
            accuracy = percent(report.validation_accuracy[-1]) if report and report.validation_accuracy else ""
            trained += epoch
            if key not in self._shown:
                job = self._count.jobs[key]
                self._shown[key] = self._bars.add_task(self._name(job), total=job.epochs, accuracy="")
            self._bars.update(self._shown[key], completed=epoch, accuracy=accuracy)
        for key in set(self._shown) - set(reports):
            self._remove(key)
        self._overall.update(self._sweep, completed=trained)

    def _name(self, job: Job) -> str:
        if self._is_narrow:
            return f"seed {job.seed}, rate {job.learning_rate:g}"
        return f"seed {job.seed:<4} learning rate {job.learning_rate:<7g}"

    def finished(self, row: Row) -> None:
        """Take the job's bar away."""
        self._count.add(row)
        self._epochs_done += row.epochs
        self._remove(row.job)
        self._overall.update(self._sweep, completed=self._epochs_done, done=self._done_text())
        self._live.update(self._table())

    def _remove(self, key: str) -> None:
        if key in self._shown:
            self._bars.remove_task(self._shown.pop(key))


def progress_for(console: Console, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> LiveProgress | PlainProgress:
    """Return the way of showing that suits where the output goes.

    Args:
        console: Where the output goes.
        jobs: The sweep's jobs, by key.
        rows: Those that have ended already.
    """
    kind: Callable[..., LiveProgress | PlainProgress] = LiveProgress if console.is_terminal else PlainProgress
    return kind(console, jobs, rows)
