"""Finds one configuration of a sweep: the one that words name, or the leader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard.figures import honest_leader
from orchestrator.analysis.leaderboard.ranking import is_candidate, ranked
from orchestrator.analysis.leaderboard.scores import Scored, scores_of
from orchestrator.analysis.leaderboard.scoring import LAST
from orchestrator.analysis.selection import pick, varying
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.text import listed
from worker.job import Configuration, Job

FIELD = "the configuration"


@dataclass(frozen=True)
class Results:
    """What a sweep's folder holds.

    Attributes:
        sweep: The sweep's name.
        path: The sweep's folder.
        manifest: The sweep.
        jobs: Its jobs by key, in its order.
        rows: Their rows, by key.
        names: Names its configurations.
        configurations: The scores of each configuration, by rank.
    """

    sweep: str
    path: Path
    manifest: Manifest
    jobs: Mapping[str, Job]
    rows: Mapping[str, Row]
    names: JobNames
    configurations: Sequence[Scored]

    @classmethod
    def read(cls, folder: SweepFolder) -> Results:
        """Read a folder.

        Raises:
            SweepNotFoundError: it contains no sweep.
            SweepUnreadableError: it cannot be read.
        """
        manifest = folder.manifest()
        jobs = manifest.jobs_by_key()
        rows = folder.rows_of(jobs)
        names = JobNames(jobs.values(), manifest.axes)
        configurations = ranked(scores_of(jobs, rows, names.metric))
        return cls(folder.name, folder.path.resolve(), manifest, jobs, rows, names, configurations)

    def choose(self, words: Sequence[str] = ()) -> Chosen:
        """Return the configuration that words name; without words, the leader.

        Args:
            words: Options with their values (`orchestrator.analysis.selection`).

        Raises:
            SweepNotFoundError: the leader is wanted and there is none.
            InvalidInputError: the words fit no configuration, several, or only some seeds of one.
        """
        scored = self._named(words) if words else self._leader()
        flattered = not words and sum(map(is_candidate, self.configurations)) > 1
        return Chosen(
            results=self,
            configuration=self.jobs[scored.keys[0]].configuration,
            scored=scored,
            is_leader=not words,
            honest_mean=honest_leader(self.configurations, self.rows, self.names.metric, LAST) if flattered else None,
        )

    def _leader(self) -> Scored:
        first = self.configurations[0]
        if not is_candidate(first):
            why = "most of its jobs diverged" if first.diverged else "it has no result yet"
            raise SweepNotFoundError(f"The sweep {self.sweep} has no leader: {why}")
        return first

    def _named(self, words: Sequence[str]) -> Scored:
        typed = " ".join(words)
        try:
            picked = set(pick(self.sweep, self.jobs, words))
        except InvalidInputError as error:
            raise InvalidInputError(FIELD, error.value, error.allowed) from None
        found = [each for each in self.configurations if not picked.isdisjoint(each.keys)]
        if any(not picked.issuperset(each.keys) for each in found):
            raise InvalidInputError(FIELD, typed, "words about its options only, because all its seeds count")
        if len(found) > 1:
            first = {each.keys[0] for each in found}
            missing = listed(varying(self.sweep, {key: job for key, job in self.jobs.items() if key in first}), "and")
            allowed = f"words that fit one configuration of the sweep {self.sweep}; {len(found)} fit, so add {missing}"
            raise InvalidInputError(FIELD, typed, allowed)
        return found[0]


@dataclass(frozen=True)
class Chosen:
    """One configuration of a sweep, with its results.

    Attributes:
        results: Those of the whole sweep.
        configuration: The configuration.
        scored: Its scores.
        is_leader: Whether it was chosen for its results, instead of by its name.
        honest_mean: Of a leader: what it is worth, had each seed had no part in choosing it. None if nothing was chosen
            or if it cannot be told.
    """

    results: Results
    configuration: Configuration
    scored: Scored
    is_leader: bool
    honest_mean: float | None

    @property
    def words(self) -> str:
        """The options that vary in the sweep, as words that pick the configuration; empty if none varies."""
        return self.results.names.words(self.configuration.options)

    @property
    def name(self) -> str:
        """The option that varies in the sweep with its value, words if several do, the sweep's name if none does."""
        names = self.results.names
        if len(names.varying) == 1:
            return names.configuration(self.configuration.options)
        return self.words or self.results.sweep

    @property
    def was_looked_at(self) -> bool:
        """Whether somebody saw results before the sweep was extended."""
        return bool(self.results.manifest.looks)
