"""Differences: by how much the leader is better than the other contenders, seed by seed and in the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis.statistics.comparison import Difference
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels
from orchestrator.report.charts.chart import Chart, Table
from orchestrator.report.charts.configurations import Drawn
from orchestrator.report.charts.marks import strips
from orchestrator.report.charts.marks.strips import Dot, Rows, Strip
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Most contenders that are drawn; and rows in all, up to which beaten configurations are added.
MOST_CONTENDERS = 40
LEAST_ROWS = 6
#: Longest name of the leader in the title, in characters.
MOST_NAME = 60


@dataclass(frozen=True)
class Gap:
    """The leader against another configuration.

    Attributes:
        other: The other configuration.
        difference: How much better the leader is, in the metric's unit, whichever direction is better.
        by_seed: The same for each common seed.
    """

    other: Drawn
    difference: Difference
    by_seed: dict[int, float]


def gaps(sweep: Sweep) -> tuple[Gap, ...]:
    """Return the leader's differences from the other contenders by rank, then from the first beaten configurations.

    They are the comparisons of the verdict.
    """
    candidates = [each for each in configurations.drawn(sweep) if each.scored.is_candidate]
    if len(candidates) < 2:
        return ()
    leader, *others = candidates
    contenders = [each for each in others if each.standing.contender]
    beaten = [each for each in others if not each.standing.contender]
    shown = contenders[:MOST_CONTENDERS] + beaten[: max(LEAST_ROWS - len(contenders), 1)]
    own = leader.scored.oriented
    found = []
    for each in shown:
        theirs = each.scored.oriented
        difference = sweep.judgement.difference(leader.scored, each.scored)
        by_seed = {seed: own[seed] - theirs[seed] for seed in own if seed in theirs}
        found.append(Gap(each, difference, by_seed if difference.paired else {}))
    return tuple(found)


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    candidates = len(sweep.judgement.candidates)
    why = None if candidates > 1 else "there are no two configurations of which most jobs trained"
    return configurations.absent(sweep) or why


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the chart of a sweep with at least two candidates.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    found = gaps(sweep)
    metric = sweep.leaderboard.metric
    leader = configurations.drawn(sweep)[0]
    each_job = sum(len(gap.by_seed) for gap in found) <= configurations.MOST_JOBS
    rows = Rows(
        name=name,
        title=f"By how much {labels.short(leader.name, MOST_NAME)} is better than the others",
        axis=f"how much better, {'points' if metric.is_share else 'in the unit of the metric'}",
        heading=configurations.axis_title(sweep),
        strips=[_strip(gap, leader, metric, each_job=each_job) for gap in found],
        known=len(sweep.judgement.candidates) - 1,
        zero=True,
        sequential=bool(sweep.manifest.looks),
    )
    return Chart(name, rows.title, _caption(rows), strips.specification(rows), _table(found, metric))


def _strip(gap: Gap, leader: Drawn, metric: Metric, *, each_job: bool) -> Strip:
    seeds = gap.by_seed.items() if each_job else ()
    return Strip(
        label=gap.other.label,
        said=_said(gap, leader, metric),
        mean=labels.drawn(metric, gap.difference.mean),
        ends=labels.ends(metric, *_ends(gap)),
        is_strong=gap.other.standing.contender,
        note=_amount(metric, gap.difference.mean),
        dots=[
            Dot(seed, labels.drawn(metric, value), f"seed {seed}: {_better(gap, leader, metric, value)}")
            for seed, value in seeds
        ],
    )


def _ends(gap: Gap) -> tuple[float | None, float | None]:
    interval = gap.difference.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def _better(gap: Gap, leader: Drawn, metric: Metric, value: float) -> str:
    return f"{leader.name} better than {gap.other.name} by {_amount(metric, value)}"


def _amount(metric: Metric, value: float) -> str:
    return f"{100 * value:.2f} points" if metric.is_share else f"{value:.4g}"


def _said(gap: Gap, leader: Drawn, metric: Metric) -> str:
    difference = gap.difference
    said = _better(gap, leader, metric, difference.mean)
    if difference.interval is not None:
        low, high = difference.interval.low, difference.interval.high
        said += f", interval {_amount(metric, low)} to {_amount(metric, high)}"
    pairs = f"{counted(difference.n, 'pair')} of seeds" if difference.paired else "seeds that are not the same"
    return f"{said}, {pairs}; {_outcome(gap)}"


def _outcome(gap: Gap) -> str:
    if gap.other.standing.contender:
        return "cannot be told apart"
    interval = gap.difference.interval
    return "beaten" if interval is not None and interval.low > 0 else "another one beats it"


def _caption(rows: Rows) -> str:
    often = " however often one looks" if rows.sequential else ""
    return labels.joined(
        "Filled: a contender, which may be as good or better; hollow: one that is beaten, by the leader or another one",
        any(strip.ends for strip in rows.strips)
        and f"whiskers: the interval by which the verdict compares, at 95 % for all together{often}",
        any(strip.dots for strip in rows.strips) and "small dot: the difference of one seed",
        rows.known > len(rows.strips) and f"{len(rows.strips)} of {counted(rows.known, 'other configuration')}",
    )


def _table(found: Sequence[Gap], metric: Metric) -> Table:
    rows = [
        (
            gap.other.name,
            *(labels.cell(metric, value) for value in (gap.difference.mean, *_ends(gap))),
            str(gap.difference.n),
            gap.difference.method,
            "yes" if gap.other.standing.contender else "no",
        )
        for gap in found
    ]
    unit = ", points" if metric.is_share else ""
    return Table.of(("compared with", f"leader better by{unit}", "low", "high", "n", "method", "contender"), rows)
