"""The manifest of a sweep, as `sweep.json` and the cluster hold it, and the names that a sweep may have."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, LiteralString, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from nn.errors import InvalidInputError
from orchestrator.sweeps.provenance import Provenance
from orchestrator.sweeps.samplers.space import Point
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from worker.job import Job

#: The most values of a manifest: 100,000 jobs, and as many values of an axis that are lists themselves. While JSON is
#: read, each costs up to 300 bytes, although it may have two in the file.
_MOST_VALUES = 6 * MAX_JOBS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class Manifest(BaseModel):
    """The content of `sweep.json`.

    Attributes:
        dataset: The data set's digest.
        jobs: The job keys, in the sweep's order.
        provenance: The session that began the sweep.
        resumed: Later sessions that went on with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    specification: SweepSpecification
    dataset: str
    jobs: Annotated[list[str], FailFast()] = Field(max_length=MAX_JOBS)
    provenance: Provenance
    resumed: list[Provenance] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        """Reject an impossible sweep before its jobs are listed."""
        if not is_name(self.name):
            raise ValueError("invalid sweep name")
        if not 1 <= self.specification.size <= MAX_JOBS:
            raise ValueError(f"it has {self.specification.size} jobs; allowed: 1 to {MAX_JOBS:,}")
        return self

    def jobs_by_key(self) -> dict[str, Job]:
        """Return the sweep's jobs by their keys: as this version names them, or as version 0.1.0 did, if it made them.

        If neither are the jobs that the manifest lists, they are as this version names them.
        """
        jobs = self.specification.jobs_by_key(self.dataset)
        if list(jobs) == self.jobs:
            return jobs
        earlier = {job.before.key: job.before for job in jobs.values()}
        return earlier if list(earlier) == self.jobs else jobs

    @classmethod
    def read(cls, stored: bytes) -> Self:
        """Read a manifest from untrusted JSON.

        Raises:
            ValidationError: it is not a manifest, has more values than a manifest can have, or no jobs.
        """
        if sum(map(stored.count, (b",", b"[", b"{"))) > _MOST_VALUES:
            raise _invalid("too_many_values", "it has too many values")
        manifest = cls.model_validate_json(stored)
        # A new sweep has no jobs until its sampler has drawn some, and is not written before.
        if not manifest.jobs or (manifest.specification.sampling is not None and not manifest.specification.drawn):
            raise _invalid("no_jobs", "it has no jobs")
        return manifest

    def goes_on(self, other: Manifest) -> bool:
        """Return whether this is the other sweep, be it with further configurations of its sampler."""
        kept = {"drawn": other.specification.drawn}
        return (
            (self.name, self.dataset) == (other.name, other.dataset)
            and self.specification.model_copy(update=kept) == other.specification
            and self.specification.drawn[: len(other.specification.drawn)] == other.specification.drawn
            and self.jobs[: len(other.jobs)] == other.jobs
        )

    def with_drawn(self, points: Sequence[Point]) -> Manifest:
        """Return the manifest of the sweep with further configurations."""
        drawn = (*self.specification.drawn, *points)
        specification = self.specification.model_copy(update={"drawn": drawn})
        return self.model_copy(
            update={"specification": specification, "jobs": list(specification.jobs_by_key(self.dataset))}
        )

    def as_text(self) -> str:
        """Return the content of `sweep.json`."""
        return self.model_dump_json(indent=2) + "\n"


def _invalid(kind: Literal["too_many_values", "no_jobs"], message: LiteralString) -> ValidationError:
    error = PydanticCustomError(kind, message)
    return ValidationError.from_exception_data("Manifest", [InitErrorDetails(type=error, input=None)])


def is_name(name: str) -> bool:
    """Return whether a sweep may have this name: it cannot lead out of the output folder."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return the name if it is valid.

    Raises:
        InvalidInputError: the name is invalid.
    """
    if not is_name(name):
        raise InvalidInputError(
            "--name", name, "up to 100 letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    return name


def free_name(output: Path) -> str:
    """Return a name made of date, time and a random part that no sweep in this folder has.

    The random part keeps sweeps apart that begin in the same second, on this machine or on others of the cluster.
    """
    stem = f"{datetime.now().astimezone():sweep-%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    name, number = stem, 2
    while os.path.lexists(output / name):
        name, number = f"{stem}-{number}", number + 1
    return name
