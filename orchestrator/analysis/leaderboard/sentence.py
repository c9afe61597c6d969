"""The words of a verdict."""

from __future__ import annotations

import math

from orchestrator.analysis.leaderboard.scores import Scored
from orchestrator.analysis.leaderboard.verdict import MOST_SEEDS, Finding
from orchestrator.analysis.statistics.intervals import Interval
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted, listed
from worker.trainers.protocol import Metric

#: How many contenders a sentence names, if their names are short.
MOST_NAMED = 3
#: Decimals beyond which a number is written with an exponent.
MOST_PLACES = 8

#: How one job without a result ended, and how several did.
_ENDS = {
    "missing": ("has no result yet", "have no result yet"),
    "failed": ("failed", "failed"),
    "cancelled": ("was cancelled", "were cancelled"),
}


def sentence(finding: Finding, names: JobNames) -> str:
    """Return the verdict in words: one to four sentences, on one line.

    Args:
        finding: The conclusion.
        names: Names the configurations, and has the metric.
    """
    parts = [*_conclusion(finding, names), *_reservations(finding, names)]
    return " ".join(f"{part}." for part in parts)


def _conclusion(finding: Finding, names: JobNames) -> list[str]:
    leader = finding.leader
    if leader is None:
        return [_nothing(finding)]
    if len(finding.configurations) == 1:
        return [_alone(leader, finding.interval, names.metric)]
    name = _named(leader, names, full=True)
    if finding.difference is not None and finding.margin is not None:
        first = _named(finding.beaten[0], names)
        by = by_margin(names.metric, finding.difference, finding.margin)
        more = f", and {counted(len(finding.beaten) - 1, 'other')}" if len(finding.beaten) > 1 else ""
        rest = [_tied(finding, names)] if finding.rivals else []
        return [f"Use {name}: it beats {first} by {by}{more}", *rest]
    if not finding.contenders:
        others = counted(len(finding.configurations) - 1, "other")
        verb = "has" if len(finding.configurations) == 2 else "have"
        if any(each.trained for each in finding.configurations if each is not leader):
            jobs = "its jobs" if verb == "has" else "their jobs"
            return [f"Only {name} can be recommended; the {others} {verb} no mean, or most of {jobs} diverged"]
        return [f"Only {name} has a mean so far; the {others} {verb} none"]
    ahead = f"Undecided: {name} ranks first with a mean of {names.metric.shown(leader.mean or 0.0)}"
    if max(len(each.trained) for each in (leader, *finding.contenders)) < 2:
        return [f"{ahead}, but one seed each cannot tell configurations apart; train at least 5"]
    return [f"{ahead}, but {_tied(finding, names)}" if finding.rivals else ahead]


def _nothing(finding: Finding) -> str:
    """Say why no configuration can be recommended."""
    if not any(each.trained or each.diverged for each in finding.configurations):
        return "No job has a result"
    if not any(each.trained for each in finding.configurations):
        return "All jobs that have a result diverged: no configuration can be recommended"
    return "Most jobs of each configuration diverged: none can be recommended"


def _alone(only: Scored, interval: Interval | None, metric: Metric) -> str:
    value = metric.shown(only.mean or 0.0)
    if interval is not None:
        value = f"{value} (95 % interval {metric.number(interval.low)} to {metric.shown(interval.high)})"
    seeds = counted(len(only.trained), "seed")
    return f"There is one configuration, so nothing to choose: its mean is {value} over {seeds}"


def _tied(finding: Finding, names: JobNames) -> str:
    """Say which configurations cannot be told from the leader, and what would tell."""
    rivals = finding.rivals
    few = len(rivals) == 1 or (len(names.varying) == 1 and len(rivals) <= MOST_NAMED)
    who = (
        listed(
            [_named(each, names) + (f" (of which {_diverged(each)})" if each.diverged else "") for each in rivals],
            "and",
        )
        if few
        else f"{len(rivals)} others"
    )
    text = f"{who} cannot be told from it"
    if finding.seeds is None:
        return text
    if finding.seeds > MOST_SEEDS:
        return f"{text}, nor would {MOST_SEEDS:,} more seeds each tell them apart"
    return f"{text}; about {counted(finding.seeds, 'more seed')} each would probably decide"


def _reservations(finding: Finding, names: JobNames) -> list[str]:
    """Say what the reader should know before acting on the conclusion."""
    leader, configurations = finding.leader, finding.configurations
    found = [
        f"{_named(each, names)} has a better mean, {names.metric.shown(each.mean or 0.0)}, but {_diverged(each)}"
        for each in finding.unreliable[:MOST_NAMED]
    ]
    if leader is not None and leader.diverged:
        found.append(f"Of {_named(leader, names)}, {_diverged(leader)}")
    counts = {name: sum(each.count(name) for each in configurations) for name in ("missing", "failed", "cancelled")}
    told = [f"{count} {_ENDS[name][count > 1]}" for name, count in counts.items() if count]
    if told:
        jobs = sum(len(each.entries) for each in configurations)
        found.append(f"Of {counted(jobs, 'job')}, {listed(told, 'and')}")
    return found


def _named(scored: Scored, names: JobNames, *, full: bool = False) -> str:
    """Return a configuration's name: the value of the only option that varies, or words that other commands take.

    Args:
        scored: The configuration.
        names: Names it.
        full: Whether to name also the only option.
    """
    if len(names.varying) != 1:
        return names.words(scored.options)
    return names.configuration(scored.options) if full else names.value(scored.options)


def _diverged(scored: Scored) -> str:
    return f"{scored.diverged} of {counted(len(scored.trained) + scored.diverged, 'job')} diverged"


def by_margin(metric: Metric, difference: float, margin: float) -> str:
    """Return a difference with its margin: `0.20 ± 0.12 points` for a share, else without a unit."""
    factor, unit = (100.0, " points") if metric.is_share else (1.0, "")
    value, around = factor * difference, factor * margin
    # Two significant digits of the margin; of a share, two decimals.
    places = 1 - math.floor(math.log10(around)) if around > 0 else 2
    if metric.is_share and around >= 0.01:
        places = 2
    if not 0 <= places <= MOST_PLACES:
        return f"{value:.3g} ± {around:.2g}{unit}"
    while value != around and f"{value:.{places}f}" == f"{around:.{places}f}" and places < MOST_PLACES:
        places += 1
    return f"{value:.{places}f} ± {around:.{places}f}{unit}"
