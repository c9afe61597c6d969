"""The configurations of a sweep as charts show them: by rank, with their jobs and the text that names them."""

import functools
import statistics
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nn.options.describe import heading
from orchestrator.analysis.leaderboard.board import Standing
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import labels
from orchestrator.report.charts.marks.canvas import Scale, are_numbers, is_in_ratios
from orchestrator.report.charts.marks.strips import Dot, Strip
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Most jobs that have a mark each; those of larger sweeps are drawn together, as browsers cannot show so large a page.
MOST_JOBS = 2000
#: The name of the only configuration of a sweep.
ALL = "all jobs"
#: Separates the values in a label: a value may contain a comma.
BETWEEN = " · "
#: Longest axis title, in characters.
MOST_HEADING = 30
#: How many parts of equal width stand for numbers that are too many.
BINS = 10


@dataclass(frozen=True)
class Drawn:
    """A configuration.

    Attributes:
        standing: Its place on the leaderboard.
        name: Its full name: `learning rate 0.01, epochs 5`; `all jobs` if nothing varies.
        label: Its values alone, short and unique: `0.01 · 5`.
    """

    standing: Standing
    name: str
    label: str

    def job(self, seed: int) -> str:
        """Return the name of one of its jobs: `seed 3, learning rate 0.01`."""
        return f"seed {seed}" if self.name == ALL else f"seed {seed}, {self.name}"


@dataclass(frozen=True)
class Group:
    """Configurations that are drawn as one.

    Attributes:
        members: The configurations, by rank.
    """

    members: Sequence[Drawn]

    @functools.cached_property
    def scores(self) -> list[float]:
        """The scores of their jobs that trained."""
        return [score for each in self.members for score in each.standing.scored.trained.values()]

    @functools.cached_property
    def mean(self) -> float | None:
        """The mean of the scores, exact and rounded once; None without any."""
        return statistics.mean(self.scores) if self.scores else None

    @property
    def diverged(self) -> int:
        """The number of their jobs that diverged."""
        return sum(each.standing.diverged for each in self.members)

    @property
    def is_contender(self) -> bool:
        """Whether one of them may be the best."""
        return any(each.standing.contender for each in self.members)

    def said(self, metric: Metric) -> str:
        """Return their mean and job count as text."""
        if self.mean is None:
            return "no result"
        return f"mean {metric.shown(self.mean)} of {counted(len(self.scores), 'job')}"


def dots_of(each: Drawn, metric: Metric) -> list[Dot]:
    """Return a dot for each job with a result; one that diverged has no value."""
    found = []
    for entry in each.standing.jobs:
        if entry.score is not None:
            said = f"{'diverged at ' if entry.status == 'diverged' else ''}{metric.shown(entry.score)}"
            place = labels.drawn(metric, entry.score) if entry.status == "succeeded" else None
            found.append(Dot(entry.seed, place, f"{each.job(entry.seed)}: {said}"))
    return found


def strip_of(
    group: Group, metric: Metric, label: str, said: str, each_job: bool, ends: tuple[float, float] | None = None
) -> Strip:
    """Return the row of configurations.

    Args:
        group: The configurations.
        metric: What was measured.
        label: Its name beside the axis.
        said: The description of its mean.
        each_job: Whether each job is a dot; otherwise a bar shows their middle 80 %, if there are two.
        ends: Its interval, in the unit of the axis.
    """
    middle = None
    if not each_job and len(group.scores) > 1:
        tenths = statistics.quantiles(group.scores, n=10, method="inclusive")
        middle = (labels.drawn(metric, tenths[0]), labels.drawn(metric, tenths[-1]))
    notes = [] if group.mean is None else [metric.shown(group.mean)]
    notes += [f"{group.diverged} diverged"] if group.diverged else []
    return Strip(
        label=label,
        said=said,
        mean=None if group.mean is None else labels.drawn(metric, group.mean),
        ends=ends,
        is_strong=group.is_contender,
        note=", ".join(notes) or "no result",
        dots=[dot for each in group.members for dot in dots_of(each, metric)] if each_job else (),
        middle=middle,
    )


def drawn(sweep: Sweep) -> Sequence[Drawn]:
    """Return the configurations of a sweep by rank."""
    names, standings = sweep.names, sweep.leaderboard.standings
    full = [labels.plain(names.configuration(each.options) or ALL) for each in standings]
    values = ([names.shown(name, value) for name, value in each.options.items()] for each in standings)
    short = labels.distinct(BETWEEN.join(each) or ALL for each in values)
    return list(map(Drawn, standings, full, short))


def levels(sweep: Sweep, name: str, most: int, longest: int = labels.MOST) -> dict[Any, str]:
    """Return the label of each value of an option that varies, numbers in ascending order.

    If there are more than `most`, numbers have the labels of `BINS` bins, and of other values the first are left. A
    label has at most `longest` characters.
    """
    names = sweep.leaderboard.names
    values = list(names.varying[name])
    numbers = are_numbers(values)
    if numbers:
        values.sort()
    if numbers and len(values) > most:
        scale = Scale(float(values[0]), float(values[-1]), is_in_ratios(values))
        ends = [*(scale.at(i / BINS) for i in range(BINS)), scale.high]
        bins = labels.distinct((f"{low:.3g} to {high:.3g}" for low, high in pairwise(ends)), longest)
        return {each: bins[bisect(ends[1:-1], each)] for each in values}
    shown = values[:most]
    texts = labels.distinct((names.shown(name, value) for value in shown), longest)
    return dict(zip(shown, texts, strict=True))


def axis_title(sweep: Sweep) -> str:
    """Return the title of an axis of configurations: the options whose values label it."""
    names = sweep.leaderboard.names
    title = BETWEEN.join(heading(names.model, name) for name in names.varying)
    return labels.short(title, MOST_HEADING) or "configuration"


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no chart of results, as a phrase; None if any job has one, even if it diverged."""
    return None if any(row.accepted for row in sweep.rows.values()) else "no job has a result"


def draws_jobs(sweep: Sweep) -> bool:
    """Return whether each job of a sweep has a mark of its own."""
    return len(sweep.jobs) <= MOST_JOBS
