"""Shows the progress of a sweep: a live table on a terminal, plain lines anywhere else."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Annotated, Self

import typer
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import complain, say
from orchestrator.cluster.connect import Tell, ignore
from orchestrator.folder.activity import Activity
from orchestrator.folder.rows import Row
from orchestrator.running.listener import SILENT, Progress
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.text import one_line

_VERBOSE = "Say also where jobs are trained, with which settings, and for how long; or show only results and errors."
Verbose = Annotated[bool | None, typer.Option("-v/-q", "--verbose/--quiet", show_default=False, help=_VERBOSE)]
#: Seconds without output after which plain progress prints a line.
HEARTBEAT_SECONDS = 30.0
#: Columns of a running job's epoch and metric, and of the widest and the shortest bar. A terminal on which these do not
#: fit beside the names gets no bars, so that no number is truncated.
FIGURES, BAR, SHORTEST_BAR = 24, 40, 10
#: How many of the leading configurations are shown, and the shortest time between two rankings, in seconds.
LEADERS, RANKING_SECONDS = 3, 1.0
#: A name, another one if that is too long, what is done of how much, and figures.
_Line = tuple[str, str, int, int, *tuple[str, ...]]


class _Display(Progress):
    """What is known of a sweep: its jobs, its rows, what goes on, and which configurations lead.

    Args:
        console: Where it is shown.
        sweep: The sweep, with the rows that it has already; the caller may add to its jobs.
    """

    def __init__(self, console: Console, sweep: Sweep) -> None:
        super().__init__(partial(say, console))
        self._console, self._jobs, self._rows = console, sweep.jobs, dict(sweep.rows)
        #: The sweep when it was ranked last.
        self._sweep = replace(sweep, jobs=dict(sweep.jobs))
        self._activity: Activity | None = None
        self._leading: list[str] = []
        self._next = 0.0

    def finished(self, row: Row) -> None:
        """Take in the row of a job that has ended."""
        self._rows[row.job] = row

    def underway(self, found: Activity | None) -> None:
        """Take in what goes on."""
        self._activity = found

    def _figures(self) -> list[str]:
        if self._activity is None:
            return [f"{len(self._rows)} of {counted(len(self._jobs), 'job')}"]
        return list(self._activity.figures())

    def _leaders(self) -> list[str]:
        """Return the leading configurations, by the leaderboard's own rule; none before a job has succeeded.

        A single best job would mislead: it is the one with the luckiest seed.
        """
        began = time.monotonic()
        if began >= self._next:
            self._sweep = replace(self._sweep, jobs=dict(self._jobs), rows=dict(self._rows))
            self._leading = list(_standings(self._sweep))
            ended = time.monotonic()
            # There may be thousands of jobs: ranking takes a tenth of the time at most.
            self._next = ended + max(RANKING_SECONDS, 9 * (ended - began))
        return self._leading


def _standings(sweep: Sweep) -> Iterator[str]:
    for rank, each in enumerate(sweep.scored[:LEADERS]):
        if each.mean is not None:
            name, metric = sweep.names.configuration(each.options), sweep.names.metric
            diverged = f", {each.diverged} diverged" if each.diverged else ""
            seeds = f"{len(each.trained)} of {counted(len(each.entries), 'seed')}{diverged}"
            lead = f"{'then' if rank else 'leading so far'}: {name}" if name else "so far"
            yield f"{lead}, mean {metric.shown(each.mean)} ({seeds})"


class PlainProgress(_Display):
    """Prints a line for each job that ends, and one after every 30 seconds without output."""

    def __init__(self, console: Console, sweep: Sweep) -> None:
        super().__init__(console, sweep)
        self._last_line = time.monotonic()

    def message(self, text: str) -> None:
        """Print a message."""
        self._last_line = time.monotonic()
        super().message(text)

    def underway(self, found: Activity | None) -> None:
        """Print what goes on, if nothing was printed for `HEARTBEAT_SECONDS`."""
        super().underway(found)
        if time.monotonic() - self._last_line > HEARTBEAT_SECONDS:
            self.message(", ".join([*self._figures(), *self._leaders()[:1]]))

    def finished(self, row: Row) -> None:
        """Print a line for a job that has ended."""
        super().finished(row)
        total = str(len(self._jobs))
        self.message(f"[{len(self._rows):>{len(total)}}/{total}] {describe(row, self._sweep.names)}")


def describe(row: Row, names: JobNames) -> str:
    """Return one line about a job that has ended."""
    name = names.job(row.seed, row.options)
    if not row.accepted:
        return one_line(f"{name}: {row.status} ({row.error})")
    epochs = counted(len(row.validation_score), "epoch")
    text = f"{name}: {names.own_metric.shown(row.validation_score[-1])} after {epochs}"
    if row.reused_from is not None:
        return one_line(f"{text}, reused from {row.reused_from}")
    diverged = f", diverged ({row.error})" if row.status == "diverged" else ""
    if row.stopped is not None:
        diverged = f", stopped ({row.stopped})"
    return one_line(f"{text}, {sum(row.epoch_seconds):.1f} s on {row.worker}{diverged}")


class LiveProgress(_Display):
    """A bar for the sweep with what goes on, a bar for each running job, and the leading configurations.

    The cursor stays visible: after Ctrl-Z or SIGKILL nothing could show it again.
    """

    def __init__(self, console: Console, sweep: Sweep) -> None:
        super().__init__(console, sweep)
        self._live = Live(self, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        # rich hides the cursor; both controls are written at once.
        with self._console:
            self._live.start()
            self._console.show_cursor(True)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the table from the screen."""
        self._live.stop()

    def underway(self, found: Activity | None) -> None:
        """Show what goes on."""
        super().underway(found)
        # Not while the screen is drawn, in a thread of its own.
        self._leaders()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render what fits on the screen: the first running jobs, how many more there are, figures, and leaders."""
        width, height = options.max_width, options.size.height
        first, *others = self._figures()
        told = filter(None, (", ".join(others), *self._leading))
        # A running job takes precedence.
        below = [line for each in told for line in Text(each).wrap(console, width)][: max(height - 2, 0)]
        running = self._activity.running if self._activity else 0
        room = max(height - 1 - len(below), 0)
        jobs = list(islice(self._lines(), running if running <= room else max(room - 1, 0)))
        fitting = len(jobs)
        yield _table([("sweep", "", len(self._rows), len(self._jobs), first), *jobs], width - FIGURES)
        if fitting < running and room:
            yield Text(f"and {running - fitting} more" if fitting else f"{counted(running, 'job')} running")
        yield from below

    def _lines(self) -> Iterator[_Line]:
        names = self._sweep.names
        for key, report in (self._activity.jobs if self._activity else {}).items():
            if (job := self._sweep.jobs.get(key)) is not None:
                epoch, scores = (report.epoch, report.validation_score[-1:]) if report else (0, [])
                figures = (f"epoch {epoch}/{job.epochs}", *map(names.own_metric.shown, scores))
                name, short = names.job(job.seed, job.options), f"seed {job.seed}, {names.value(job.options)}"
                yield name, short, epoch, job.epochs, *figures


def _table(lines: Sequence[_Line], room: int) -> Table:
    """Return lines with their names in this many columns, and a bar in each if there is room for bars."""
    bar = min(BAR, room - max(len(name) for name, *_ in lines) - 2)
    table = Table.grid(padding=(0, 1))
    for long, short, done, total, *figures in lines:
        name = Text(long if len(long) <= room else short)
        name.truncate(room, overflow="ellipsis")
        table.add_row(name, ProgressBar(total, done, bar) if bar >= SHORTEST_BAR else "", *figures)
    return table


def notes_for(verbose: bool | None) -> Tell:
    """Return what prints a message that is neither a result nor an error: nothing with --quiet."""
    return ignore if verbose is False else complain


def progress_for(console: Console, sweep: Sweep, *, verbose: bool | None = None) -> Progress:
    """Return live progress on a terminal that can move its cursor, and plain progress for any other output.

    Args:
        console: The output.
        sweep: The sweep, with the rows that it has already.
        verbose: False to show nothing (`Verbose`).
    """
    if verbose is False:
        return SILENT
    # `Console.is_terminal` is not enough: it is true for a file under FORCE_COLOR, and for TERM=dumb.
    can_redraw = console.file.isatty() and console.is_interactive and not console.is_dumb_terminal
    return (LiveProgress if can_redraw else PlainProgress)(console, sweep)
