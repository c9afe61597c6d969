"""Finds one configuration of a sweep: the one that words name, or the leader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard.scores import Scored
from orchestrator.analysis.selection import pick, varying
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import SweepNotFoundError
from orchestrator.text import listed
from worker.job import Configuration

FIELD = "the configuration"


@dataclass(frozen=True)
class Chosen:
    """One configuration of a sweep, with its results.

    Attributes:
        sweep: The whole sweep.
        configuration: The configuration.
        scored: Its scores.
        is_leader: Whether it was chosen by its results instead of by words.
        honest_mean: For the leader only: its mean, corrected for selection. None without a choice, or without an
            estimate.
    """

    sweep: Sweep
    configuration: Configuration
    scored: Scored
    is_leader: bool
    honest_mean: float | None

    @property
    def words(self) -> str:
        """The options that vary in the sweep, as words that pick the configuration; empty if none varies."""
        return self.sweep.names.words(self.configuration.options)

    @property
    def name(self) -> str:
        """The varying option with its value; words if several options vary, the sweep's name if none does."""
        names = self.sweep.names
        if len(names.varying) == 1:
            return names.configuration(self.configuration.options)
        return self.words or self.sweep.name


def choose(sweep: Sweep, words: Sequence[str] = ()) -> Chosen:
    """Return the configuration that words name; without words, the leader.

    Args:
        sweep: The sweep.
        words: Options with their values (`orchestrator.analysis.selection`).

    Raises:
        SweepNotFoundError: the leader is wanted and there is none.
        InvalidInputError: the words fit no configuration, several, or only some seeds of one.
    """
    scored = _named(sweep, words) if words else _leader(sweep)
    flattered = not words and len(sweep.judgement.candidates) > 1
    return Chosen(
        sweep=sweep,
        configuration=sweep.jobs[scored.keys[0]].configuration,
        scored=scored,
        is_leader=not words,
        honest_mean=sweep.judgement.honest_mean if flattered else None,
    )


def _leader(sweep: Sweep) -> Scored:
    first = sweep.scored[0]
    if not first.is_candidate:
        why = "most of its jobs diverged" if first.diverged else "it has no result yet"
        raise SweepNotFoundError(f"The sweep {sweep.name} has no leader: {why}")
    return first


def _named(sweep: Sweep, words: Sequence[str]) -> Scored:
    typed = " ".join(words)
    picked = set(pick(sweep.name, sweep.jobs, words, FIELD))
    found = [each for each in sweep.scored if not picked.isdisjoint(each.keys)]
    if any(not picked.issuperset(each.keys) for each in found):
        raise InvalidInputError(FIELD, typed, "words about its options only, because all its seeds count")
    if len(found) > 1:
        first = {each.keys[0] for each in found}
        missing = listed(varying(sweep.name, {key: job for key, job in sweep.jobs.items() if key in first}), "and")
        allowed = f"words that fit one configuration of the sweep {sweep.name}; {len(found)} fit, so add {missing}"
        raise InvalidInputError(FIELD, typed, allowed)
    return found[0]
