"""A sweep as its folder holds it, for an export: the jobs that have ended, in the sweep's order."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nn.options.describe import written
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from worker.job import Job

#: Called with the number of jobs that are written, and of all.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Ended:
    """A job that has ended, with its row."""

    key: str
    job: Job
    row: Row


@dataclass(frozen=True)
class Missing:
    """Weights that are not in the sweep's folder: whose they are, and why: `missing`, `damaged`, `unreadable (...)`."""

    ended: Ended
    fault: str


@dataclass(frozen=True)
class ExportedSweep:
    """What an export is made from.

    Attributes:
        folder: Where it was read, for weights.
        manifest: The sweep.
        jobs: Its jobs by key, in its order.
        rows: The rows of those that have ended, by key.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: Mapping[str, Job]
    rows: Mapping[str, Row]

    @classmethod
    def read(cls, folder: SweepFolder) -> ExportedSweep:
        """Read a sweep's folder. Takes no lock; the sweep may run meanwhile.

        Raises:
            SweepNotFoundError: the folder contains no sweep, or no job of it has ended.
            SweepUnreadableError: the folder cannot be read.
        """
        manifest = folder.manifest()
        jobs = manifest.jobs_by_key()
        rows = folder.rows_of(jobs)
        if not rows:
            raise SweepNotFoundError(f"No job of the sweep {folder.name} has ended yet: there is nothing to export")
        return cls(folder, manifest, jobs, rows)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @functools.cached_property
    def ended(self) -> tuple[Ended, ...]:
        """The jobs that have ended, in the sweep's order."""
        return tuple(Ended(key, job, self.rows[key]) for key, job in self.jobs.items() if key in self.rows)

    @functools.cached_property
    def names(self) -> JobNames:
        """Names its configurations."""
        return JobNames(self.jobs.values(), self.manifest.axes)

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
    def start(self) -> float:
        """When the sweep began, in seconds since 1970; 0 if its folder does not tell."""
        try:
            return max(0.0, datetime.fromisoformat(self.manifest.provenance.created).timestamp())
        except (ValueError, OverflowError):
            return 0.0

    def start_of(self, each: Ended) -> float:
        """When a job's first attempt began, in seconds since 1970; the sweep's start, where its row does not tell."""
        known = (attempt.started for attempt in each.row.history if attempt.started is not None)
        return next(known, self.start)

    @property
    def metric(self) -> str:
        """The metric's name as one word, as tools want it: `validation_accuracy`."""
        return re.sub(r"[^A-Za-z0-9]+", "_", self.names.metric.name).strip("_").lower() or "score"


def options_of(job: Job) -> dict[str, Any]:
    """Return a job's options by name, each as None, a bool, a number, a text, or a list of such; others as text."""
    return {name: plain(getattr(job.options, name)) for name in type(job.options).model_fields}


def plain(value: object) -> Any:
    """Return a value of an option in the types that formats know; what is of another type, as one can type it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return written(value)


def as_text(value: object) -> str:
    """Return an option's value, as `plain` gives it, as one can type it: `128,64`, `none`, `true`."""
    return ",".join(map(as_text, value)) if isinstance(value, list) else written(value)
