"""The manifest of a sweep, as `sweep.json` and the cluster hold it."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

from pydantic import AliasPath, BaseModel, FailFast, Field, ValidationError, model_validator

from nn.errors import Described, InvalidInputError
from nn.files import json_values, longest_text
from orchestrator.errors import TrainerMissingError
from orchestrator.sweeps.naming import is_name
from orchestrator.sweeps.provenance import Provenance, provenance
from orchestrator.sweeps.rounds import MAX_ROUNDS, Look, Round, Withdrawn
from orchestrator.sweeps.samplers import Point
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from worker.job import Digest, Job
from worker.text import one_line
from worker.trainers import registry

#: The most values of a manifest: of 10,000 points with 30 options, or of as many sessions; and more for each job.
#: While JSON is read, each costs up to 600 bytes, even if it takes two in the file.
_VALUES, _JOB_VALUES = 300_000, 3
_KEY = re.compile(rb'"[0-9a-f]{64}"')
#: The most bytes of a text of a manifest: a condition lists its values, of which an axis has at most 100,000.
LONGEST = 2**20
#: The most sessions that it remembers, beside the first one.
MAX_SESSIONS = 1000
#: The most combinations of values that all rounds may list: a constant, and more for each job. A combination that is
#: validated, because invalid ones are left out, counts as several.
_LISTED, _JOB_LISTED, _VALIDATED = 2 * MAX_JOBS, 8, 5

#: The jobs of a new sweep above which it keeps the weights of the best jobs only, if not told otherwise.
ALL_WEIGHTS_JOBS = 1000
_KEEP_WEIGHTS = "^(all|none|best:[1-9][0-9]{0,4})$"


class Manifest(BaseModel, frozen=True, extra="forbid"):
    """The content of `sweep.json`.

    Attributes:
        dataset: The data set's digest.
        jobs: The job keys, in the sweep's order.
        provenance: The session that began the sweep.
        resumed: Later sessions that resumed it, the last ones.
        rounds: The extensions of the sweep, oldest first.
        withdrawn: The extensions that `undo` has withdrawn, in the order in which it did.
        looks: The looks at its results before a command went on with it, oldest first.
        keep_weights: Which weights the folder keeps: `all`, `none`, or `best:K` of each configuration. With `all`, a
            resumed sweep trains jobs again whose weights are missing; otherwise, rows are complete without them.
        metric: How its jobs are scored unless a command is told otherwise (`--metric`).
        followed: Whether `watch` made the folder. Weights leave a cluster for the folder that began the sweep; one that
            follows it is complete without those that have left, and leaves there those of jobs that it adds itself.
    """

    name: str
    specification: SweepSpecification
    dataset: Digest
    jobs: Annotated[list[str], FailFast()] = Field(max_length=MAX_JOBS)
    provenance: Provenance
    resumed: Annotated[list[Provenance], FailFast()] = Field(default_factory=list, max_length=MAX_SESSIONS)
    # Left out if empty, so that the file is the same as before rounds existed.
    rounds: list[Round] = Field(default_factory=list, max_length=MAX_ROUNDS, exclude_if=operator.not_)
    withdrawn: list[Withdrawn] = Field(default_factory=list, max_length=MAX_ROUNDS, exclude_if=operator.not_)
    looks: list[Look] = Field(default_factory=list, max_length=MAX_ROUNDS, exclude_if=operator.not_)
    keep_weights: str = Field(default="all", pattern=_KEEP_WEIGHTS, exclude_if="all".__eq__)
    metric: str = Field(default="last", max_length=200, exclude_if="last".__eq__)
    followed: bool = Field(default=False, exclude_if=operator.not_)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        """Reject an impossible sweep before its jobs are listed."""
        if not is_name(self.name):
            raise ValueError("invalid sweep name")
        if not 1 <= (size := self.specification.size) <= MAX_JOBS:
            raise ValueError(f"it has {size} jobs; allowed: 1 to {MAX_JOBS:,}")
        if sum(len(each.jobs) for each in self.withdrawn) > MAX_JOBS:
            raise ValueError(f"more than {MAX_JOBS:,} of its jobs were withdrawn")
        self.__dict__["rounds"] = self._read_rounds()
        return self

    def _read_rounds(self) -> list[Round]:
        """Return the rounds with their values in the types of the options; reject impossible ones."""
        if self.rounds and self.specification.remaining:
            raise ValueError("it has rounds before its sampler has chosen all configurations")
        read: list[Round] = []
        specification, others, listed, most = self.specification, 0, 0, _LISTED + _JOB_LISTED * len(self.jobs)
        for each in self.rounds:
            is_validated = specification.skip_invalid and not each.configurations
            if each.grid or specification.beside or specification.zipped or is_validated:
                listed += specification.combinations * (_VALIDATED if is_validated else 1)
            if listed > most:
                raise ValueError(f"its rounds list more than {most:,} combinations in all")
            read.append(each.read(specification))
            others += len(each.seeds) * len(each.configurations)
            specification = read[-1].extend(specification)
            if (count := others if each.configurations else specification.size) > MAX_JOBS:
                raise ValueError(f"it has {count} jobs; allowed: 1 to {MAX_JOBS:,}")
        return read

    def jobs_by_key(self) -> dict[str, Job]:
        """Return the sweep's jobs by key, for the trainer's version whose keys the manifest lists: this one or earlier.

        If no version matches, the keys are those of this one.
        """
        jobs = {job.key: job for _, job in self._jobs()}
        if list(jobs) == self.jobs:
            return jobs
        first, listed = next(iter(jobs.values())), self.jobs[0]
        for version in range(first.version - 1, 0, -1):
            if first.at(version).key == listed:
                earlier = {job.at(version).key: job.at(version) for job in jobs.values()}
                return earlier if list(earlier) == self.jobs else jobs
        return jobs

    def _jobs(self) -> Iterator[tuple[str | None, Job]]:
        """Yield the jobs of the specification, then those of each round, with its kind; a job may recur."""
        specification = self.specification
        yield from ((None, job) for job in specification.jobs(self.dataset))
        for each in self.rounds:
            yield from ((each.kind, job) for job in each.jobs(specification, self.dataset))
            specification = each.extend(specification)

    @property
    def grown(self) -> SweepSpecification:
        """The specification with the seeds and values of the rounds that are for all configurations."""
        return functools.reduce(lambda before, each: each.extend(before), self.rounds, self.specification)

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds of the sweep and of its rounds, also those that only some configurations got."""
        return frozenset(self.specification.seeds).union(*(each.seeds for each in self.rounds))

    @property
    def axes(self) -> tuple[str, ...]:
        """The options that vary in the sweep, also those that have varied only since it was extended."""
        return tuple(self.grown.grid)

    def point(self, options: BaseModel) -> dict[str, Any]:
        """Return a configuration as the rounds name it: its values of the options that vary."""
        return {name: getattr(options, name) for name in self.axes}

    @property
    def bare(self) -> bool:
        """Whether a row is complete without its weights, if these are gone."""
        return self.followed or self.keep_weights != "all"

    @property
    def raced(self) -> bool:
        """Whether races have added jobs."""
        return any(each.kind == "decide" for each in self.rounds)

    @property
    def added_by_races(self) -> frozenset[str]:
        """The keys of the jobs that races have added."""
        if not self.raced:
            return frozenset()
        # The first that has a job has added it.
        first = {job.key: kind for kind, job in reversed(list(self._jobs()))}
        return frozenset(key for key, kind in first.items() if kind == "decide")

    @property
    def added(self) -> frozenset[str]:
        """The keys of the jobs that may have been added after a look: by rounds, also by those that were withdrawn."""
        if any(look.command == "reuse" for look in self.looks):
            return self.known_jobs
        if not (self.rounds or self.withdrawn):
            return frozenset()
        return self.known_jobs.difference(self.model_copy(update={"rounds": []})._listed().jobs)

    @classmethod
    def read(cls, stored: bytes) -> Self:
        """Read a manifest from untrusted JSON.

        Raises:
            TrainerMissingError: the trainer that it names is not installed here.
            ValueError: it is not a manifest, has more values or longer texts than one can have, or no jobs.
        """
        if json_values(stored) > _VALUES + _JOB_VALUES * sum(1 for _ in _KEY.finditer(stored)):
            raise ValueError("it has too many values")
        if longest_text(stored) > LONGEST:
            raise ValueError("it has a text that is too long")
        try:
            manifest = cls.model_validate_json(stored)
        except ValidationError:
            _refuse_missing_trainer(stored)
            raise
        # A new sweep has no jobs until its sampler has drawn some, and is not written before.
        if not manifest.jobs or (manifest.specification.sampling is not None and not manifest.specification.drawn):
            raise ValueError("it has no jobs")
        return manifest

    def goes_on(self, other: Manifest) -> bool:
        """Return whether this is the other sweep, perhaps with more configurations, rounds, or rounds withdrawn."""
        count = len(other.withdrawn)
        gone = {key for each in self.withdrawn[count:] for key in each.jobs}
        return (
            self.begins_as(other)
            and self.specification.drawn[: len(other.specification.drawn)] == other.specification.drawn
            and self.withdrawn[:count] == other.withdrawn
            and (bool(gone) or self.rounds[: len(other.rounds)] == other.rounds)
            and gone.union(self.jobs).issuperset(other.jobs)
            # Only rounds are withdrawn.
            and (not gone or gone.isdisjoint(other.model_copy(update={"rounds": []})._listed().jobs))
        )

    @property
    def extent(self) -> tuple[list[str], list[Withdrawn], tuple[Point, ...]]:
        """What one of two manifests of a sweep may have more of: jobs, withdrawn rounds, or draws."""
        # A draw may repeat a configuration, and so add no job.
        return self.jobs, self.withdrawn, self.specification.drawn

    @property
    def known_jobs(self) -> frozenset[str]:
        """The keys of the jobs that the sweep has, and of those that were withdrawn."""
        return frozenset(self.jobs).union(*(each.jobs for each in self.withdrawn))

    def begins_as(self, other: Manifest) -> bool:
        """Return whether both began as the same sweep, whatever was added to them since."""
        specification = self.specification.model_copy(update={"drawn": other.specification.drawn})
        return (self.name, self.dataset, specification) == (other.name, other.dataset, other.specification)

    def grown_as(self, other: Manifest) -> Manifest:
        """Return this manifest extended by what the other one, which `goes_on` it, adds. No look is forgotten."""
        names = ("specification", "jobs", "rounds", "withdrawn")
        looks = other.looks
        if looks[: len(self.looks)] != self.looks:
            looks = [*self.looks, *(each for each in looks if each not in self.looks)][-MAX_ROUNDS:]
        return self.model_copy(update={**{name: getattr(other, name) for name in names}, "looks": looks})

    def with_round(self, further: Round, look: Look | None = None) -> Manifest:
        """Return the manifest of the sweep with one more round.

        Args:
            further: The round.
            look: What has been seen of the results; None if there are none.

        Raises:
            InvalidInputError: the round has no job that the sweep lacks, or the sweep would have too many jobs or
                rounds.
            ValueError: the round does not fit the sweep: it has values that the sweep has already, or that are invalid.
        """
        if (number := len(self.rounds) + len(self.withdrawn)) >= MAX_ROUNDS:
            allowed = f"at most {MAX_ROUNDS} of them: start another sweep, which reuses the results of this one"
            raise InvalidInputError("the sweep", Described(f"extended {number} times"), allowed)
        longer = self.with_look(look).model_copy(update={"rounds": [*self.rounds, further.read(self.grown)]})
        # Counted before the jobs are listed, which takes long for many.
        count = longer.grown.size + len(further.seeds) * len(further.configurations)
        if count <= 2 * MAX_JOBS:
            longer = longer._listed()
        if count > 2 * MAX_JOBS or len(longer.jobs) + sum(len(each.jobs) for each in self.withdrawn) > MAX_JOBS:
            allowed = "fewer jobs, with those that were withdrawn"
            raise InvalidInputError("the sweep", Described(f"one of more than {MAX_JOBS:,} jobs"), allowed)
        if len(longer.jobs) == len(self.jobs):
            raise InvalidInputError("the round", Described("one without a new job"), "a job that the sweep lacks")
        try:
            longer._read_rounds()
        except ValueError as error:
            allowed = f"fewer rounds, because {error}: start another sweep, which reuses the results of this one"
            raise InvalidInputError("the sweep", Described(f"extended {number} times"), allowed) from None
        return longer

    def with_session(self) -> Manifest:
        """Return the manifest with the session of this process, and without the oldest one if they are too many."""
        sessions = [*self.resumed, provenance(self.specification.trainer)]
        return self.model_copy(update={"resumed": sessions[-MAX_SESSIONS:]})

    def with_look(self, look: Look | None) -> Manifest:
        """Return the manifest with one more look, and without the oldest one if they are too many."""
        return self if look is None else self.model_copy(update={"looks": [*self.looks, look][-MAX_ROUNDS:]})

    def undone(self) -> Manifest:
        """Return the manifest as it was before its last round, which is listed as withdrawn; its looks are the same."""
        before, last = self.model_copy(update={"rounds": self.rounds[:-1]})._listed(), self.rounds[-1]
        # Keys as they are recorded: an earlier version may have made them.
        kept, added = self.jobs[: len(before.jobs)], self.jobs[len(before.jobs) :]
        gone = Withdrawn(kind=last.kind, seeds=last.seeds, jobs=tuple(added))
        return before.model_copy(update={"jobs": kept, "withdrawn": [*self.withdrawn, gone]})

    def with_drawn(self, points: Sequence[Point]) -> Manifest:
        """Return the manifest of the sweep with further configurations."""
        specification = self.specification.model_copy(update={"drawn": (*self.specification.drawn, *points)})
        return self.model_copy(update={"specification": specification})._listed()

    def _listed(self) -> Manifest:
        return self.model_copy(update={"jobs": list(dict.fromkeys(job.key for _, job in self._jobs()))})

    def as_text(self) -> str:
        """Return the content of `sweep.json`."""
        return self.model_dump_json(indent=2) + "\n"


class _Head(BaseModel):
    """What can be read without the trainer."""

    name: str
    trainer: str = Field(validation_alias=AliasPath("specification", "trainer"), pattern=f"^{registry.NAME.pattern}$")
    package: str | None = Field(None, validation_alias=AliasPath("provenance", "trainer_package"), max_length=100)


def _refuse_missing_trainer(stored: bytes) -> None:
    """Raise `TrainerMissingError` if a manifest cannot be read because its trainer is not installed here."""
    try:
        head = _Head.model_validate_json(stored)
    except ValidationError:
        return
    if head.trainer in registry.names() or not is_name(head.name):
        return
    came = "" if not head.package else f" (where the sweep began, the package {one_line(head.package)} has brought it)"
    raise TrainerMissingError(
        f"The trainer {head.trainer} of the sweep {head.name} is not installed here{came}: install the package "
        "that brings it, beside Seedsweep; orchestrator trainers lists what is installed"
    )


def check_keep_weights(text: str) -> str:
    """Return the text if it says which weights a sweep's folder keeps.

    Raises:
        InvalidInputError: it does not.
    """
    if not re.fullmatch(_KEEP_WEIGHTS, text):
        allowed = f"all, none, or best:K with K from 1 to {MAX_JOBS - 1}, as in best:3"
        raise InvalidInputError("keep_weights", text, allowed)
    return text
