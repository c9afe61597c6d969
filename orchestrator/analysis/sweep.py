"""A snapshot of a sweep's folder, read once for everything that shows, compares or exports the sweep."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.leaderboard.judgement import History, Judgement, check_within
from orchestrator.analysis.leaderboard.scores import ALLOWED, LAST, Scored, Scoring, ranked
from orchestrator.analysis.selection import pick_any
from orchestrator.folder.rows import Accounting, Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import note
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.job import Job
from worker.trainers.protocol import Metric


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
        scoring: How a job is scored, and by which metric.
        within: The regret that suffices (`orchestrator.analysis.leaderboard.judgement`); None if every difference
            counts.
        seen: How the sweep came to its rows, apart from races.
        running: Whether it has further jobs to come.
        whole: The sweep with all jobs, if these are some of them.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: Mapping[str, Job]
    rows: Mapping[str, Row]
    axes: Sequence[str] = field(default=())
    scoring: Scoring = LAST
    within: float | None = None
    seen: History = "fixed"
    running: bool = False
    whole: Sweep | None = None

    @classmethod
    def read(cls, folder: SweepFolder, metric: str | None = None, *, rows: bool = True) -> Sweep:
        """Read a sweep's folder. Takes no lock and writes nothing; the sweep may run meanwhile.

        Args:
            folder: The folder.
            metric: How a job is scored, as `Scoring.parse` reads it; None for the sweep's own way.
            rows: Whether to read its rows, too.

        Raises:
            SweepNotFoundError: the folder contains no sweep.
            SweepUnreadableError: the folder cannot be read.
            InvalidInputError: its jobs have no such metric, or fewer epochs than are to be averaged.
        """
        manifest = folder.manifest()
        jobs = manifest.jobs_by_key()
        return cls.of(folder, manifest, jobs, folder.rows_of(jobs) if rows else {}, metric)

    @classmethod
    def of(
        cls,
        folder: SweepFolder,
        manifest: Manifest,
        jobs: Mapping[str, Job],
        rows: Mapping[str, Row],
        metric: str | None = None,
    ) -> Sweep:
        """Return the sweep of a manifest, with all its jobs, and their rows; rows of other jobs are left out.

        Raises:
            InvalidInputError: as for `read`.
        """
        rows = {key: row for key, row in rows.items() if key in jobs}
        looked = manifest.raced or any(look.command != "decide" for look in manifest.looks)
        seen: History = "extended" if looked or _continues_another(jobs, rows) else "fixed"
        running = manifest.specification.remaining > 0 or Accounting.of(len(jobs), rows.values()).done < len(jobs)
        found = cls(folder, manifest, jobs, rows, manifest.axes, LAST, _within(manifest, LAST), seen, running)
        return found.select(metric=manifest.metric if metric is None else metric)

    def select(self, where: Sequence[str] = (), metric: str | None = None, within: float | None = None) -> Sweep:
        """Return the sweep judged in another way, or with some of its jobs: its leaderboard then covers only these.

        Args:
            where: Words that choose jobs, such as `learning_rate=0.03`; values of the same option are alternatives.
            metric: How a job is scored, as `Scoring.parse` reads it; None for no change.
            within: The regret that suffices; None for that of the last race by the same metric, if any.

        Raises:
            InvalidInputError: no job fits the words, the jobs have no such metric, a job has fewer epochs than are to
                be averaged, or the regret is that of no share.
        """
        if where:
            jobs = pick_any(self.name, self.jobs, where)
            rows = {key: self.rows[key] for key in jobs if key in self.rows}
            # An option that has one value among the chosen jobs does not vary in them.
            return replace(self, jobs=jobs, rows=rows, axes=(), whole=self.whole or self).select((), metric, within)
        scoring = self.scoring if metric is None else Scoring.parse(metric)
        if scoring == self.scoring and within in (None, self.within):
            return self
        if scoring != LAST:
            if scoring.metric is not None and self.metric(scoring.metric) == next(iter(self.metrics.values())):
                scoring = replace(scoring, metric=None)
            fewest = min(job.epochs for job in self.jobs.values())
            if scoring.kind == "mean" and scoring.epochs > fewest:
                allowed = f"at most mean-{fewest}: a job of the sweep has {counted(fewest, 'epoch')}"
                raise InvalidInputError("metric", str(scoring), allowed)
        found = replace(self, scoring=scoring, within=_within(self.manifest, scoring) if within is None else within)
        if within is not None:
            check_within(within, found.names.metric)
        return found

    def __repr__(self) -> str:
        return f"<Sweep {self.name}: {self.accounting.done} of {len(self.jobs)} jobs are done>"

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """Whether every job has ended, and a sampler has no further ones to draw."""
        return len(self.rows) == len(self.jobs) and not self.manifest.specification.remaining

    @functools.cached_property
    def ended(self) -> tuple[Row, ...]:
        """The rows of the jobs that have ended, in the sweep's order."""
        return tuple(self.rows[key] for key in self.jobs if key in self.rows)

    @functools.cached_property
    def options(self) -> tuple[str, ...]:
        """The options of all its jobs, whose models may differ; the first model's come first, in its order."""
        models = dict.fromkeys(type(job.options) for job in self.jobs.values())
        return tuple(dict.fromkeys(name for model in models for name in model.model_fields))

    @functools.cached_property
    def others(self) -> tuple[str, ...]:
        """The names of the metrics that some job has besides the one that counts."""
        return tuple(dict.fromkeys(name for row in self.ended for name in row.others))

    @functools.cached_property
    def accounting(self) -> Accounting:
        """How many jobs ended in which way."""
        return Accounting.of(len(self.jobs), self.rows.values())

    @functools.cached_property
    def names(self) -> JobNames:
        """Names its jobs and configurations."""
        metric = None if self.scoring.metric is None else self.metrics[self.scoring.metric]
        return JobNames(self.jobs.values(), self.axes, metric)

    @functools.cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics by name that every job reports, the trainer's own first."""
        first, *rest = ({metric.name: metric for metric in job.metrics} for job in self.jobs.values())
        return {name: metric for name, metric in first.items() if all(name in each for each in rest)}

    def metric(self, name: str, field: str = "metric") -> Metric:
        """Return a metric by its name; in messages, `field` is what the user gave the name for.

        Raises:
            InvalidInputError: not every job has such a metric.
        """
        if name not in self.metrics:
            kinds = f"{ALLOWED}; or " if field == "metric" else ""
            raise InvalidInputError(field, name, f"{kinds}a metric that every job has: {', '.join(self.metrics)}")
        return self.metrics[name]

    @functools.cached_property
    def scored(self) -> Sequence[Scored]:
        """The scores of its configurations, by rank."""
        return ranked(self.jobs, self.rows, self.names.metric, self.scoring)

    @functools.cached_property
    def judgement(self) -> Judgement:
        """What may be said about its configurations."""
        races = {look.metric for look in self.manifest.looks if look.command == "decide"}
        if not self.manifest.raced and str(self.scoring) not in races:
            return self._without_races
        if self.seen == "fixed":
            # A race was one of the whole sweep. The verdict of one look stays if it decides.
            whole = self if self.whole is None else self.whole.select((), str(self.scoring), self.within)
            if whole._without_races.decided:
                return self._without_races
        return replace(self._without_races, history="race")

    @functools.cached_property
    def _without_races(self) -> Judgement:
        listed, rounds = set(self.manifest.jobs), self.manifest.withdrawn
        gone = {each.jobs: each.seeds for each in rounds if not listed.issuperset(each.jobs)}
        whole, further = len(self.jobs) == len(self.manifest.jobs), self.manifest.specification.remaining
        settings = (self.seen, self.within, self.running, whole, tuple(gone.values()), further)
        return Judgement(self.scored, self.rows, self.names, self.scoring, *settings)

    @functools.cached_property
    def leaderboard(self) -> Leaderboard:
        """The configurations by rank, with the statistics of each, and the verdict."""
        return Leaderboard(self.jobs, self.manifest.specification.data, self.judgement)

    @property
    def advised(self) -> tuple[str, ...]:
        """The words of the command that decides further; none if there is no advice."""
        advice = self.judgement.advice
        if advice is None:
            return ()
        by = () if str(self.scoring) == self.manifest.metric else ("--metric", str(self.scoring))
        # A budget is that of all races of a sweep together.
        budget = len(self.manifest.added_by_races) + advice.budget
        return ("orchestrator", "decide", self.name, *by, "--within", str(advice.within), "--budget", str(budget))

    @functools.cached_property
    def note(self) -> str:
        """What somebody wrote about it; empty if nobody did."""
        return note(self.folder.real)

    @functools.cached_property
    def start(self) -> float:
        """When the sweep began, in seconds since 1970; 0 if this is unknown."""
        try:
            return max(0.0, datetime.fromisoformat(self.manifest.provenance.created).timestamp())
        except (ValueError, OverflowError):
            return 0.0


def _within(manifest: Manifest, scoring: Scoring) -> float | None:
    """Return the regret that suffices the last race by this scoring; None without one."""
    races = (look for look in reversed(manifest.looks) if look.command == "decide" and look.metric == str(scoring))
    return next((look.within for look in races), None)


def _continues_another(jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> bool:
    """Return whether a configuration has reused results under some seeds and its own under others.

    So has a new sweep with more seeds than one whose results could be seen.
    """
    origins = {(jobs[key].configuration, row.reused_from is None) for key, row in rows.items() if row.accepted}
    return len(origins) > len({configuration for configuration, _ in origins})
