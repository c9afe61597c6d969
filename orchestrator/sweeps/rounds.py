"""How a sweep grows beyond its first specification: rounds of further jobs, and the looks at results before them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, FailFast, Field, model_validator

from nn.options.network import Seed
from orchestrator.sweeps.samplers import Point
from orchestrator.sweeps.specification import SweepSpecification
from worker.job import Digest, Job
from worker.trainers.protocol import MAX_SCORE

#: The commands that add rounds to a sweep.
Kind = Literal["extend", "confirm", "decide"]
#: The commands that go on with a sweep whose results could be seen: `resume` trains failed or cancelled jobs again, and
#: `reuse` takes results that another sweep has added after a look.
Going = Literal["extend", "confirm", "decide", "resume", "reuse"]
#: The most rounds of a sweep, also withdrawn ones: listing its jobs goes through the configurations once for each.
MAX_ROUNDS = 100


class Round(BaseModel, frozen=True, extra="forbid"):
    """Further jobs of a sweep.

    A round without configurations extends the whole sweep: it has all jobs that the further seeds and values add to
    the specification. A round with configurations trains these under its seeds, and leaves the specification as it is.

    Attributes:
        kind: The command that added the round.
        seeds: Further seeds.
        grid: Further values of options; an option that was fixed varies from then on.
        configurations: The configurations that get the seeds, as values of the options that vary; empty for all.
    """

    kind: Kind
    seeds: Annotated[tuple[Seed, ...], FailFast()] = ()
    grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    configurations: Annotated[tuple[Point, ...], FailFast()] = ()

    @model_validator(mode="after")
    def _is_possible(self) -> Round:
        if not self.seeds and not self.grid:
            raise ValueError("a round has seeds or values")
        if self.configurations and (self.grid or not self.seeds):
            raise ValueError("a round of some configurations has seeds, and no values of options")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a round has a seed more than once")
        return self

    def read(self, before: SweepSpecification) -> Round:
        """Return the round with its values in the types of the options.

        Args:
            before: The specification with the rounds before this one.

        Raises:
            ValueError: a value is invalid, the sweep has it already, or the sweep lacks a configuration.
        """
        if not self.configurations:
            after = before.extended(self.seeds, self.grid)
            grid = {name: after.grid[name][len(before.values(name)) :] for name in after.grid if name in self.grid}
            return self.model_copy(update={"grid": grid})
        read = before.read_points(self.configurations)
        if len({tuple(each.items()) for each in read}) < len(read):
            raise ValueError("a round has a configuration more than once")
        return self.model_copy(update={"configurations": read})

    def extend(self, before: SweepSpecification) -> SweepSpecification:
        """Return the specification after this round; `self` has been `read`."""
        return before if self.configurations else before.extended(self.seeds, self.grid)

    def jobs(self, before: SweepSpecification, dataset: str) -> Iterator[Job]:
        """Yield the jobs of the round, seed by seed; `self` has been `read`.

        Args:
            before: The specification with the rounds before this one.
            dataset: The data set's digest.
        """
        if self.configurations:
            yield from before.jobs_under(self.seeds, self.configurations, dataset)
            return
        after = self.extend(before)
        # Only the new configurations under the earlier seeds, then all of them under the new seeds.
        yield from after.jobs_under(before.seeds, self._new_points(after), dataset)
        if self.seeds:
            yield from after.jobs_under(self.seeds, list(after.points()), dataset)

    def _new_points(self, after: SweepSpecification) -> list[Point]:
        """Return the configurations that have a further value."""
        if len(self.grid) == 1 and not after.beside:
            return list(after.model_copy(update={"grid": {**after.grid, **self.grid}}).points())
        further = {name: frozenset(values) for name, values in self.grid.items()}
        points = after.points() if further else ()
        return [point for point in points if any(point[name] in values for name, values in further.items())]


class Withdrawn(BaseModel, frozen=True, extra="forbid"):
    """A round that `undo` has withdrawn.

    Attributes:
        kind: The command that had added it.
        seeds: Its seeds.
        jobs: The keys of the jobs that it added.
    """

    kind: Kind
    seeds: Annotated[tuple[Seed, ...], FailFast()] = ()
    jobs: Annotated[tuple[Digest, ...], FailFast()]


class Look(BaseModel, frozen=True, extra="forbid"):
    """The state of a sweep when a command went on with it after its user had seen results.

    Attributes:
        command: The command.
        seeds: The number of different seeds with a result.
        rows: The number of jobs with a result.
        within: For a race, the regret that suffices it; None for another command.
        metric: How the race scored a job (`--metric`).
    """

    command: Going
    seeds: int = Field(ge=1)
    rows: int = Field(ge=1)
    within: float | None = Field(default=None, gt=0, lt=MAX_SCORE, exclude_if=operator.not_)
    metric: str = Field(default="last", max_length=200, exclude_if=lambda metric: metric == "last")
