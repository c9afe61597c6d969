"""Differences: how much better the leader is than the others, and how much worse than the best each is at most."""

from dataclasses import dataclass

from orchestrator.analysis.leaderboard.board import NONE
from orchestrator.analysis.leaderboard.judgement import at_most
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels
from orchestrator.report.charts.configurations import Drawn
from orchestrator.report.charts.marks import strips
from orchestrator.report.charts.marks.strips import Dot, Rows, Strip
from orchestrator.report.contents.parts import Chart
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Most contenders that are drawn; and rows in all, up to which others are added.
MOST_CONTENDERS = 40
LEAST_ROWS = 6
#: Longest name of the leader in the title, in characters.
MOST_NAME = 60


@dataclass(frozen=True)
class Gap:
    """The leader against another configuration.

    Attributes:
        other: The other configuration.
        mean: How much better the leader is, in the metric's unit, whichever direction is better.
        n: On how many seeds.
        by_seed: The same for each common seed.
    """

    other: Drawn
    mean: float
    n: int
    by_seed: dict[int, float]


def gaps(sweep: Sweep) -> tuple[Gap, ...]:
    """Return the leader's differences from the other contenders by rank, then from the first that are ruled out.

    They are the comparisons of the verdict. A sweep that runs may have none yet of some configurations.
    """
    leader, *rest = enumerate(each for each in configurations.drawn(sweep) if each.standing.scored.is_candidate)
    others = [(i, each) for i, each in rest if sweep.judgement.from_leader.n[i]]
    contenders = [(i, each) for i, each in others if each.standing.contender]
    ruled_out = [(i, each) for i, each in others if not each.standing.contender]
    shown = contenders[:MOST_CONTENDERS] + ruled_out[: max(LEAST_ROWS - len(contenders), 1)]
    own, found = leader[1].standing.scored.oriented, sweep.judgement.from_leader
    gaps = []
    for i, each in shown:
        theirs = each.standing.scored.oriented
        by_seed = {seed: own[seed] - theirs[seed] for seed in own if seed in theirs} if found.paired[i] else {}
        gaps.append(Gap(each, float(found.mean[i]), int(found.n[i]), by_seed))
    return tuple(gaps)


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    candidates = len(sweep.judgement.candidates)
    why = None if candidates > 1 else "there are no two configurations that can be recommended"
    if candidates > 1 and not sweep.judgement.from_leader.n[1:].any():
        why = "no configuration can be compared with the leader yet"
    return configurations.absent(sweep) or why


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the chart of a sweep in which a configuration can be compared with the leader."""
    found = gaps(sweep)
    metric = sweep.names.metric
    leader = configurations.drawn(sweep)[0]
    each_job = sum(len(gap.by_seed) for gap in found) <= configurations.MOST_JOBS
    rows = Rows(
        title=f"How much worse than {labels.short(leader.name, MOST_NAME)} the others are",
        axis=f"how much worse, {'points' if metric.is_share else 'in the unit of the metric'}",
        heading=configurations.axis_title(sweep),
        strips=[_strip(gap, leader, metric, each_job=each_job) for gap in found],
        known=len(sweep.judgement.candidates) - 1,
        zero=True,
        sequential=sweep.judgement.sequential,
    )
    unit = ", points" if metric.is_share else ""
    headings = ("configuration", f"worse than the leader by{unit}", f"than the best by at most{unit}", "n", "contender")
    return Chart(
        name, rows.title, _caption(rows), strips.specification(rows), headings, [_cells(gap, metric) for gap in found]
    )


def _strip(gap: Gap, leader: Drawn, metric: Metric, *, each_job: bool) -> Strip:
    regret = gap.other.standing.regret
    return Strip(
        label=gap.other.label,
        said=_said(gap, leader, metric),
        mean=labels.drawn(metric, gap.mean),
        # The difference to the best is from 0 to the regret.
        ends=None if regret is None else (0.0, labels.drawn(metric, regret)),
        is_strong=gap.other.standing.contender,
        note=_amount(metric, gap.mean),
        dots=[
            Dot(seed, labels.drawn(metric, value), f"seed {seed}: {_better(gap, leader, metric, value)}")
            for seed, value in (gap.by_seed.items() if each_job else ())
        ],
    )


def _better(gap: Gap, leader: Drawn, metric: Metric, value: float) -> str:
    return f"{leader.name} better than {gap.other.name} by {_amount(metric, value)}"


def _amount(metric: Metric, value: float) -> str:
    return f"{100 * value:.2f} points" if metric.is_share else f"{value:.4g}"


def _said(gap: Gap, leader: Drawn, metric: Metric) -> str:
    said, regret = _better(gap, leader, metric, gap.mean), gap.other.standing.regret
    if regret is not None:
        said += f", at most {at_most(metric, regret)} worse than the best"
    pairs = f"{counted(gap.n, 'pair')} of seeds" if gap.by_seed else "seeds that are not the same"
    return f"{said}, {pairs}; {'may be the best' if gap.other.standing.contender else 'ruled out'}"


def _caption(rows: Rows) -> str:
    often = ", however often one looks" if rows.sequential else ""
    return labels.joined(
        "Filled: a contender, which may be as good or better; hollow: one that is ruled out",
        any(strip.ends for strip in rows.strips)
        and f"whiskers: how much worse than the best it may be, at 95 % for all together{often}",
        any(strip.dots for strip in rows.strips) and "small dot: the difference of one seed",
        rows.known > len(rows.strips) and f"{len(rows.strips)} of {counted(rows.known, 'other configuration')}",
    )


def _cells(gap: Gap, metric: Metric) -> tuple[str, ...]:
    standing = gap.other.standing
    bound = NONE if standing.regret is None else at_most(metric, standing.regret).partition(" ")[0]
    return gap.other.name, metric.number(gap.mean), bound, str(gap.n), "yes" if standing.contender else "no"
