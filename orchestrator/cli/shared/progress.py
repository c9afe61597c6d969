"""Shows the progress of a sweep: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from orchestrator.analysis.leaderboard.scores import Entry, Scored, Scoring, worst_of
from orchestrator.cli.shared.output import say
from orchestrator.folder.rows import Row
from orchestrator.running.listener import Progress
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.job import Configuration, Job
from worker.records.report import Report
from worker.text import one_line

#: Seconds without output after which plain progress prints a line.
HEARTBEAT_SECONDS = 30.0
#: A terminal with fewer columns gets no bars, so that no number is truncated.
NARROW = 60
#: Columns of a running job's epoch and metric, and of the shortest bar.
FIGURES = 24
SHORTEST_BAR = 10


class Count:
    """Counts a sweep's jobs and epochs, and knows which configuration leads.

    The leader is the first configuration by the leaderboard's own rule. A single best job would mislead: it is the one
    with the luckiest seed.

    Args:
        jobs: The sweep's jobs, by key.
        rows: The rows of those that have ended, by key.
        axes: The options that vary in the sweep, even if all of these jobs have the same value.
        metric: What decides which configuration leads (`Scoring.parse`).
    """

    def __init__(
        self, jobs: Mapping[str, Job], rows: Mapping[str, Row], axes: Collection[str] = (), metric: str = "last"
    ) -> None:
        self._axes, self._scoring = axes, Scoring.parse(metric)
        self.jobs: Mapping[str, Job] = {}
        #: Jobs that have ended, their epochs, and the epochs of all jobs.
        self.done = self.epochs_done = self.epochs = 0
        #: By configuration, in the sweep's order: the number of jobs, and the results so far.
        self._planned: dict[Configuration, int] = {}
        self._scored: dict[Configuration, Scored] = {}
        self._entries: dict[Configuration, list[Entry]] = {}
        #: A number of rows, and the leader after them.
        self._leader = (-1, "")
        self.expect(jobs)
        for row in rows.values():
            self.add(row)

    def expect(self, jobs: Mapping[str, Job]) -> None:
        """Expect further jobs."""
        self.jobs = {**self.jobs, **jobs}
        self.names = JobNames(self.jobs.values(), self._axes)
        named = {each.name: each for job in jobs.values() for each in job.metrics}
        #: What decides who leads; rows are described by the trainer's own metric.
        self._metric = named.get(self._scoring.metric or "", self.names.metric)
        if self._metric == self.names.metric:
            self._scoring = replace(self._scoring, metric=None)
        for job in jobs.values():
            self.epochs += job.epochs
            self._planned[job.configuration] = self._planned.get(job.configuration, 0) + 1
            self._entries.setdefault(job.configuration, [])
            self._scored.setdefault(job.configuration, Scored(job.options, (), self._metric.higher_is_better))

    def add(self, row: Row) -> None:
        """Count a job that has ended."""
        job = self.jobs[row.job]
        self.done, self.epochs_done = self.done + 1, self.epochs_done + job.epochs
        self._entries[job.configuration].append(Entry.of(row.job, job, row, self._metric, self._scoring))

    @property
    def leader_text(self) -> str:
        """The leading configuration as one line; empty while none of its jobs has succeeded."""
        # Computed on demand: there may be thousands of configurations. The live table asks from its own thread.
        done = self.done
        if self._leader[0] != done:
            self._leader = (done, self._leader_text())
        return self._leader[1]

    def _leader_text(self) -> str:
        for configuration, known in list(self._scored.items()):
            # Without a new job, its statistics stay.
            if len(self._entries[configuration]) > len(known.entries):
                self._scored[configuration] = replace(known, entries=tuple(self._entries[configuration]))
        scored = dict(self._scored)
        worst = worst_of(list(scored.values()))
        leader, found = min(scored.items(), key=lambda each: each[1].merit(worst))
        if found.mean is None:
            return ""
        diverged = f", {found.diverged} diverged" if found.diverged else ""
        seeds = f"{len(found.trained)} of {counted(self._planned[leader], 'seed')}"
        name = self.names.configuration(leader.options)
        lead = f"leading: {name}" if name else "so far"
        return f"{lead}, mean {self._metric.shown(found.mean)} ({seeds}{diverged})"


class PlainProgress(Progress, AbstractContextManager["PlainProgress"]):
    """Prints a line for each job that ends, and one after every 30 seconds without output."""

    def __init__(self, console: Console, count: Count) -> None:
        self._console, self._count = console, count
        self._last_line = time.monotonic()

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is no display to close."""

    def message(self, text: str) -> None:
        """Print a message."""
        self._last_line = time.monotonic()
        say(self._console, text)

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Print how many jobs are done, if nothing was printed for `HEARTBEAT_SECONDS`."""
        if time.monotonic() - self._last_line > HEARTBEAT_SECONDS:
            leader = self._count.leader_text
            jobs = counted(len(self._count.jobs), "job")
            self.message(f"{self._count.done} of {jobs} done, {len(reports)} running{f', {leader}' if leader else ''}")

    def added(self, jobs: Mapping[str, Job]) -> None:
        """Expect further jobs."""
        self._count.expect(jobs)

    def finished(self, row: Row) -> None:
        """Print a line for a job that has ended."""
        self._count.add(row)
        total = str(len(self._count.jobs))
        self.message(f"[{self._count.done:>{len(total)}}/{total}] {describe(row, self._count.names)}")


def describe(row: Row, names: JobNames) -> str:
    """Return one line about a job that has ended."""
    name = names.job(row.seed, row.options)
    if not row.accepted:
        return one_line(f"{name}: {row.status} ({row.error})")
    epochs = counted(len(row.validation_score), "epoch")
    text = f"{name}: {names.metric.shown(row.validation_score[-1])} after {epochs}"
    if row.reused_from is not None:
        return one_line(f"{text}, reused from {row.reused_from}")
    diverged = f", diverged ({row.error})" if row.status == "diverged" else ""
    if row.stopped is not None:
        diverged = f", stopped ({row.stopped})"
    return one_line(f"{text}, {sum(row.epoch_seconds):.1f} s on {row.worker}{diverged}")


class LiveProgress(Progress, AbstractContextManager["LiveProgress"]):
    """A bar for the sweep with the remaining time, a bar for each running job, and the leading configuration.

    The cursor stays visible: after Ctrl-Z or SIGKILL nothing could show it again.
    """

    def __init__(self, console: Console, count: Count) -> None:
        self._count, self._width = count, console.width
        longest = max((len(count.names.job(job.seed, job.options)) for job in count.jobs.values()), default=0)
        self._is_narrow = console.width < max(NARROW, longest + FIGURES + SHORTEST_BAR)
        bar = [] if self._is_narrow else [BarColumn()]
        elapsed = [] if self._is_narrow else [TimeElapsedColumn()]
        self._overall = Bars(
            TextColumn("[bold]{task.description}"), *bar, TextColumn("{task.fields[done]}"),
            *elapsed, TextColumn("ETA"), TimeRemainingColumn(), console=console,
        )  # fmt: skip
        self._bars = Bars(
            TextColumn("{task.description}"), *bar, TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[score]}"), console=console,
        )  # fmt: skip
        self._sweep = self._overall.add_task(
            "sweep", total=count.epochs, completed=count.epochs_done, done=self._done_text()
        )
        self._shown: dict[str, TaskID] = {}
        self._live = Live(self, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        # rich hides the cursor; both controls are written at once.
        with self._live.console:
            self._live.start()
            self._live.console.show_cursor(True)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the table from the screen."""
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render what fits on the screen: the first running jobs, and how many more there are."""
        height = options.size.height
        leader = Text(self._count.leader_text)
        leader_lines = len(leader.wrap(console, options.max_width)) if leader else 0
        # The sweep's bar takes one line, and a running job takes precedence over the leader.
        if leader_lines + 2 > height:
            leader_lines = 0
        tasks = self._bars.tasks
        room = max(height - 1 - leader_lines, 0)
        fitting = len(tasks) if len(tasks) <= room else max(room - 1, 0)
        yield self._overall
        if fitting:
            yield self._bars.make_tasks_table(tasks[:fitting])
        if fitting < len(tasks) and room:
            yield Text(f"and {len(tasks) - fitting} more" if fitting else f"{counted(len(tasks), 'job')} running")
        if leader_lines:
            yield leader

    def _done_text(self) -> str:
        return f"{self._count.done}/{len(self._count.jobs)} jobs"

    def message(self, text: str) -> None:
        """Print a message above the table."""
        say(self._live.console, text)

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Move the bars to what the running jobs report."""
        trained, metric = self._count.epochs_done, self._count.names.metric
        for key, report in reports.items():
            epoch = 0 if report is None else report.epoch
            score = metric.shown(report.validation_score[-1]) if report and report.validation_score else ""
            trained += epoch
            if key not in self._shown:
                job = self._count.jobs[key]
                self._shown[key] = self._bars.add_task(self._name(job), total=job.epochs, score="")
            self._bars.update(self._shown[key], completed=epoch, score=score)
        for key in set(self._shown) - set(reports):
            self._remove(key)
        self._overall.update(self._sweep, completed=trained)

    def _name(self, job: Job) -> str:
        """Return a job's name, truncated so that the job's figures stay on the screen."""
        name, room = self._count.names.job(job.seed, job.options, short=self._is_narrow), self._width - FIGURES
        return name if len(name) <= room else f"{name[: max(room - 1, 0)]}…"

    def added(self, jobs: Mapping[str, Job]) -> None:
        """Make room in the sweep's bar for further jobs."""
        self._count.expect(jobs)
        self._overall.update(self._sweep, total=self._count.epochs, done=self._done_text())

    def finished(self, row: Row) -> None:
        """Remove the bar of a job that has ended."""
        self._count.add(row)
        self._remove(row.job)
        self._overall.update(self._sweep, completed=self._count.epochs_done, done=self._done_text())

    def _remove(self, key: str) -> None:
        if key in self._shown:
            self._bars.remove_task(self._shown.pop(key))


def progress_for(
    console: Console,
    jobs: Mapping[str, Job],
    rows: Mapping[str, Row],
    axes: Collection[str] = (),
    metric: str = "last",
) -> LiveProgress | PlainProgress:
    """Return live progress on a terminal that can move its cursor, and plain progress for any other output.

    The arguments after the output are those of `Count`.
    """
    # `Console.is_terminal` is not enough: it is true for a file under FORCE_COLOR, and for TERM=dumb.
    can_redraw = console.file.isatty() and console.is_interactive and not console.is_dumb_terminal
    return (LiveProgress if can_redraw else PlainProgress)(console, Count(jobs, rows, axes, metric))
