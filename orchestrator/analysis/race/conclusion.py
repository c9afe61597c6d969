"""What a race says: one sentence for each look, and the answer at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.race.course import Course, Look
from orchestrator.folder.rows import Row
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: How many configurations a sentence names.
MOST_NAMED = 4


@dataclass(frozen=True)
class Conclusion:
    """The answer of a race.

    Attributes:
        sentence: The answer.
        decided: Whether it is known which configuration to use.
        leader: The options that vary of the configuration with the best mean; None before the first look.
        contenders: Those of the configurations that may be the best, the leader first.
    """

    sentence: str
    decided: bool
    leader: Mapping[str, Any] | None
    contenders: tuple[Mapping[str, Any], ...]

    def __str__(self) -> str:
        return self.sentence


class Wording:
    """Words for the configurations and the tolerance of one race.

    Args:
        course: The race.
        names: Names the sweep's jobs.
        rows: The sweep's rows, by job key.
    """

    def __init__(self, course: Course, names: JobNames, rows: Mapping[str, Row]) -> None:
        self._course = course
        self._field = course.field
        self._names = names
        self._rows = rows

    def name(self, configuration: int) -> str:
        """Return a configuration as words: `learning rate 0.03`."""
        return self._names.configuration(self._field.configurations[configuration].options)

    def named(self, configurations: Sequence[int]) -> str:
        """Return several configurations as a list, of which the first few are named."""
        first, more = configurations[:MOST_NAMED], len(configurations) - MOST_NAMED
        words = [self.name(each) for each in first]
        if more > 0:
            words.append(f"{more} more")
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

    def options(self, configuration: int) -> dict[str, Any]:
        """Return the values of the options that vary."""
        return self._field.options(configuration, self._names.varying)

    def trouble(self, configuration: int, seeds: int) -> str:
        """Return which jobs of a configuration did not train at a look: ` (2 diverged of its 5 jobs)`, or nothing."""
        found = self._field.rows(configuration, self._field.seeds(seeds), self._rows).values()
        counts = {status: sum(row.status == status for row in found) for status in ("diverged", "failed")}
        told = [f"{count} {status}" for status, count in counts.items() if count]
        return f" ({' and '.join(told)} of its {counted(seeds, 'job')})" if told else ""

    def look(self, look: Look) -> str:
        """Return what a look decided, as a sentence without its full stop."""
        parts = [f"Look at {counted(look.seeds, 'seed')}: {self.name(look.leader)} leads"]
        if look.beaten:
            parts.append(f"{self.named(look.beaten)} {_leave(look.beaten)}, beaten")
        parts += [f"{self.name(each)} leaves{self.trouble(each, look.seeds)}" for each in look.unfit[:MOST_NAMED]]
        if len(look.unfit) > MOST_NAMED:
            parts.append(f"{len(look.unfit) - MOST_NAMED} more leave, which diverged or failed")
        parts.append(f"{len(look.staying)} of {len(self._field.configurations)} configurations may be the best")
        return "; ".join(parts)

    def next_look(self, course: Course) -> str:
        """Return what the next look takes, as a sentence without its full stop."""
        needed, left = course.state.next_jobs, course.state.rules.budget - course.field.spent
        told = f"The next look, at {course.state.next_look} seeds, takes {counted(needed, 'job')}"
        return f"{told}; at most {left} are left in the budget"


def duration(seconds: float) -> str:
    """Return a duration as words, in seconds up to a minute and a half, and then in minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _is(configurations: Sequence[int]) -> str:
    return "is" if len(configurations) == 1 else "are"


def _leave(configurations: Sequence[int]) -> str:
    return "leaves" if len(configurations) == 1 else "leave"


def difference(metric: Metric, value: float) -> str:
    """Return a difference of two metrics with its unit: `0.1 points` of a share in percent."""
    return f"{100 * value:.3g} points" if metric.is_share else f"{value:.3g}"


def conclusion(course: Course, wording: Wording, within: float, budget: int) -> Conclusion:
    """Return the answer of a race that ended.

    Args:
        course: The race.
        wording: Words for its configurations.
        within: The tolerance.
        budget: The budget, in jobs.
    """
    last = course.last
    if last is None:
        return Conclusion(_nothing(course, budget), False, None, ())
    others = tuple(each for each in last.staying if each != last.leader)
    sentence = _sentence(course, last, others, wording, within, budget)
    contenders = tuple(wording.options(each) for each in (last.leader, *others))
    return Conclusion(sentence, course.decided, contenders[0], contenders)


def _sentence(
    course: Course,
    last: Look,
    others: Sequence[int],
    wording: Wording,
    within: float,
    budget: int,
) -> str:
    leader, seeds = wording.name(last.leader), counted(last.seeds, "seed")
    trouble = wording.trouble(last.leader, last.seeds)
    tolerance = difference(course.field.metric, within)
    if course.ended == "separated":
        beaten = "every other configuration"
        if any(look.unfit for look in course.looks):
            beaten += " that trains reliably"
        return f"Use {leader}{trouble}: it beats {beaten}, decided at {seeds}."
    if course.ended == "within":
        rest = f"; {wording.named(others)} {_is(others)} not ruled out" if others else ""
        return f"Use {leader}{trouble}: no configuration is better by more than {tolerance}, decided at {seeds}{rest}."
    if course.ended == "cancelled":
        return f"Undecided: the sweep was cancelled, with {leader} in the lead at {seeds}."
    if course.ended == "nothing trains":
        since = "more than half of the jobs of every configuration in the race diverged or failed since"
        return f"Undecided: {leader} led at {seeds}, and {since}."
    names = wording.named((last.leader, *others))
    told = f"Tied: {names} cannot be told apart within {tolerance} at {seeds}"
    needed = course.state.next_jobs
    left = budget - course.field.spent
    return (
        f"{told}; the next look takes {counted(needed, 'further job')}, and {left} of {budget} are left in the budget: "
        f"a budget of {course.field.spent + needed} goes on."
    )


def _nothing(course: Course, budget: int) -> str:
    if course.ended == "budget":
        needed = course.state.next_jobs
        return f"Undecided: the first look takes {counted(needed, 'further job')}, more than the budget of {budget}."
    if course.ended == "cancelled":
        return "Undecided: the sweep was cancelled before the first look."
    return "Undecided: more than half of the jobs of every configuration diverged or failed."
