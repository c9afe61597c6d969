"""A snapshot of a sweep's folder, read once for everything that shows, compares or exports the sweep."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestrator.analysis.leaderboard.board import Leaderboard, leaderboard
from orchestrator.analysis.leaderboard.judgement import History, Judgement, check_within
from orchestrator.analysis.leaderboard.scores import LAST, Scored, Scoring, ranked
from orchestrator.analysis.selection import pick_any
from orchestrator.folder.rows import Accounting, Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from worker.job import Configuration, Job


@dataclass(frozen=True)
class Ended:
    """A job that has ended, with its row."""

    key: str
    job: Job
    row: Row


@dataclass(frozen=True, repr=False)
class Sweep:
    """A snapshot of a sweep. Each result is computed on first use, and kept.

    It knows no cluster and prints nothing. `dataclasses.replace` returns the sweep with another scoring, or with
    some of its jobs; all results are then computed anew.

    Attributes:
        folder: Where it was read, for weights.
        manifest: What the sweep is.
        jobs: Its jobs by key, in its order.
        rows: The rows of those that have ended, by key.
        axes: Options that vary in the sweep, even if these jobs all have one value.
        scoring: How a job is scored.
        within: The regret that suffices (`orchestrator.analysis.leaderboard.judgement`); None if every difference
            counts.
        history: How the sweep came to its rows.
        running: Whether it has further jobs to come.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: Mapping[str, Job]
    rows: Mapping[str, Row]
    axes: Sequence[str] = field(default=())
    scoring: Scoring = LAST
    within: float | None = None
    history: History = "fixed"
    running: bool = False

    @classmethod
    def read(cls, folder: SweepFolder) -> Sweep:
        """Read a sweep's folder. Takes no lock and writes nothing; the sweep may run meanwhile.

        Raises:
            SweepNotFoundError: the folder contains no sweep.
            SweepUnreadableError: the folder cannot be read.
        """
        manifest = folder.manifest()
        jobs = manifest.jobs_by_key()
        return cls.of(folder, manifest, jobs, folder.rows_of(jobs))

    @classmethod
    def of(cls, folder: SweepFolder, manifest: Manifest, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> Sweep:
        """Return the sweep of a manifest, with all its jobs, and their rows."""
        races = [look for look in manifest.looks if look.command == "decide"]
        seen = manifest.looks or _continues_another(jobs, rows)
        history: History = "race" if races else "extended" if seen else "fixed"
        within = races[-1].within if races else None
        running = manifest.specification.remaining > 0 or any(
            key not in rows or rows[key].status == "cancelled" for key in jobs
        )
        return cls(folder, manifest, jobs, rows, manifest.axes, within=within, history=history, running=running)

    def select(self, where: Sequence[str] = (), scoring: Scoring = LAST, within: float | None = None) -> Sweep:
        """Return the sweep judged in another way, or with some of its jobs: its leaderboard then covers only these.

        Args:
            where: Words that choose jobs, such as `learning_rate=0.03`; values of the same option are alternatives.
            scoring: How a job is scored.
            within: The regret that suffices; None for that of the last race, if any.

        Raises:
            InvalidInputError: no job fits the words, a job has fewer epochs than are to be averaged, or the regret is
                that of no share.
        """
        if not where and scoring == self.scoring and within in (None, self.within):
            return self
        if within is not None:
            check_within(within, self.names.metric)
        jobs = pick_any(self.name, self.jobs, where) if where else self.jobs
        scoring.check(min(job.epochs for job in jobs.values()))
        rows = {key: row for key, row in self.rows.items() if key in jobs}
        # An option that has one value among the chosen jobs does not vary in them.
        axes, within = () if where else self.axes, self.within if within is None else within
        return replace(self, jobs=jobs, rows=rows, axes=axes, scoring=scoring, within=within)

    def __repr__(self) -> str:
        return f"<Sweep {self.name}: {len(self.rows)} of {len(self.jobs)} jobs have ended>"

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """Whether every job has ended."""
        return len(self.rows) == len(self.jobs)

    @functools.cached_property
    def ended(self) -> tuple[Ended, ...]:
        """The jobs that have ended, in the sweep's order."""
        return tuple(Ended(key, job, self.rows[key]) for key, job in self.jobs.items() if key in self.rows)

    @functools.cached_property
    def options(self) -> tuple[str, ...]:
        """The options of all its jobs, whose models may differ; the first model's come first, in its order."""
        models = dict.fromkeys(type(job.options) for job in self.jobs.values())
        return tuple(dict.fromkeys(name for model in models for name in model.model_fields))

    @functools.cached_property
    def others(self) -> tuple[str, ...]:
        """The names of the metrics that some job has besides the one that counts."""
        return tuple(dict.fromkeys(name for each in self.ended for name in each.row.others))

    @functools.cached_property
    def accounting(self) -> Accounting:
        """How many jobs ended in which way."""
        return Accounting.of(len(self.jobs), self.rows.values())

    @functools.cached_property
    def names(self) -> JobNames:
        """Names its jobs and configurations."""
        return JobNames(self.jobs.values(), self.axes)

    @functools.cached_property
    def scored(self) -> Sequence[Scored]:
        """The scores of its configurations, by rank."""
        return ranked(self.jobs, self.rows, self.names.metric, self.scoring)

    @functools.cached_property
    def judgement(self) -> Judgement:
        """What may be said about its configurations."""
        seeds = tuple(dict.fromkeys(job.seed for job in self.jobs.values()))
        history, within, running = self.history, self.within, self.running
        return Judgement(self.scored, self.rows, self.names, self.scoring, history, seeds, within, running)

    @functools.cached_property
    def leaderboard(self) -> Leaderboard:
        """The configurations by rank, with the statistics of each, and the verdict."""
        return leaderboard(self.jobs, self.manifest.specification.data, self.judgement)

    @property
    def advised(self) -> tuple[str, ...]:
        """The words of the command that decides further; none if there is no advice."""
        advice = self.judgement.advice
        if advice is None:
            return ()
        return ("orchestrator", "decide", self.name, "--within", f"{advice.within:g}", "--budget", str(advice.budget))

    @functools.cached_property
    def start(self) -> float:
        """When the sweep began, in seconds since 1970; 0 if this is unknown."""
        try:
            return max(0.0, datetime.fromisoformat(self.manifest.provenance.created).timestamp())
        except (ValueError, OverflowError):
            return 0.0


def _continues_another(jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> bool:
    """Return whether a configuration has reused results under some seeds and its own under others.

    So has a new sweep with more seeds than one whose results could be seen.
    """
    origins: dict[Configuration, set[bool]] = {}
    for key, row in rows.items():
        if row.accepted:
            origins.setdefault(jobs[key].configuration, set()).add(row.reused_from is not None)
    return any(len(each) > 1 for each in origins.values())
