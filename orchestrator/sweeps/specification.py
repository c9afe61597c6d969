"""A sweep's specification: its seeds, the options that are fixed, the options that vary, and the resulting jobs."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, FailFast, Field, ValidationError, field_serializer, model_validator

from nn.errors import Beside, DatasetError, Described, InvalidInputError, clipped
from nn.options.describe import allowed, option, word, written
from nn.options.network import Seed
from orchestrator.sweeps.axes import Range, RefusedError, axis, is_range
from orchestrator.sweeps.samplers import MAX_ASKED, Dimension, Point, Sampling
from orchestrator.text import listed
from worker.job import Job
from worker.trainers import registry

#: The most jobs of a sweep: more are usually a typing error, and take a night to list.
MAX_JOBS = 100_000
#: The most combinations of which invalid ones are left out: each is validated whenever the sweep is read.
MAX_VALIDATED = 30_000


class SweepSpecification(BaseModel, frozen=True, extra="forbid"):
    """A sweep as its user describes it; `orchestrator.sweeps.fields` makes one from flags or a TOML file.

    Every option of the trainer is either fixed or varies. An option that is missing from both gets its
    default, so a file from before the option existed keeps its meaning.

    Attributes:
        seeds: Every configuration is trained under each of them.
        options: The values of the options that are fixed.
        grid: Several values for each option that varies. Every combination of them is a configuration. A single value
            that is given here counts as fixed. With a sampler, this is the space that it samples: a lone range without
            a number of points stands for all numbers in it.
        data: The source of the data set: one of the trainer's names, or an absolute path.
        trainer: The trainer's name.
        sampling: The sampler; None if every combination of the grid is trained.
        drawn: What the sampler has chosen so far, in its order: values of the options that vary.
        skip_invalid: Whether combinations that the trainer's model refuses are left out.
        zipped: Options whose values go together, the first with the first, such as `depth,width`.
        beside: Options that vary only beside some values of another one, such as `momentum@optimizer=sgd`: elsewhere,
            the first option has its default.
    """

    trainer: str = registry.DEFAULT
    seeds: Annotated[tuple[Seed, ...], FailFast()] = (0, 1, 2, 3, 4)
    options: dict[str, Any]
    grid: dict[str, tuple[Any, ...]]
    data: str = ""
    sampling: Sampling | None = None
    drawn: Annotated[tuple[Point, ...], FailFast()] = ()
    skip_invalid: bool = Field(default=False, exclude_if=operator.not_)
    zipped: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)
    beside: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, fields: Any) -> Any:
        if not isinstance(fields, Mapping):
            return fields
        options, grid = fields.get("options", {}), fields.get("grid", {})
        if not (isinstance(options, Mapping) and isinstance(grid, Mapping)):
            return fields
        trainer = registry.trainer(str(fields.get("trainer", registry.DEFAULT)))
        known = trainer.options_for({**options, **{name: each[0] for name, each in grid.items() if _is_single(each)}})
        infos = {name: info for name, info in known.model_fields.items() if name not in {*options, *grid}}
        varied = {name: option(info).values for name, info in infos.items() if option(info).values}
        fixed = {name: info.default for name, info in infos.items() if name not in varied}
        single = {name: values[0] for name, values in grid.items() if name not in options and _is_single(values)}
        several = {name: values for name, values in grid.items() if name not in single}
        completed = {"options": {**fixed, **options, **single}, "grid": {**varied, **several}}
        return {"data": trainer.data, **fields, **completed}

    @model_validator(mode="after")
    def _read_values(self) -> Self:
        """Convert the values to the options' types, in the model's order."""
        both = self.options.keys() & self.grid.keys()
        if both:
            raise ValueError(f"{min(both)} is in both options and grid")
        empty = [name for name, values in self.grid.items() if not values]
        if empty:
            raise ValueError(f"{empty[0]} has no values")
        model = self.model
        options = _read(model, self.options)
        grid = {
            name: tuple(_value(model, name, value, may_be_range=True) for value in values)
            for name, values in _in_order(model, self.grid).items()
        }
        zipped = set(",".join(self.zipped).split(","))
        repeated = [name for name, values in grid.items() if name not in zipped and len(set(values)) < len(values)]
        if repeated:
            raise ValueError(f"{repeated[0]} has a value more than once")
        # The model is frozen: assignment would raise.
        self.__dict__.update(options=options, grid=grid, drawn=tuple(_read(model, point) for point in self.drawn))
        return self

    @model_validator(mode="after")
    def _check_structure(self) -> Self:
        """Check the ranges, `zipped` and `beside`, and that there is no sampler beside these two."""
        for name, values in self.grid.items():
            ranges = [value for value in values if isinstance(value, Range)]
            if ranges and self.sampling is None:
                allowed = f"in a grid, a range with a number of points: {ranges[0]}:5 (a --sampler takes it as it is)"
                raise InvalidInputError(word(self.model, name), str(ranges[0]), allowed)
            if ranges and len(values) > 1:
                given = Described(",".join(map(written, values)))
                raise InvalidInputError(word(self.model, name), given, "either values, or one range")
            if self.sampling is not None and self.sampling.sampler == "optuna" and len(values) > MAX_ASKED:
                allowed = f"with --sampler optuna, at most {MAX_ASKED:,} values, or a range without a number of points"
                raise InvalidInputError(word(self.model, name), Described(f"a list of {len(values):,} values"), allowed)
        names = [name for group in self.zipped for name in group.split(",")]
        if unknown := set(names).difference(self.options, self.grid):
            raise InvalidInputError("zipped", min(unknown), f"options of {self.trainer}")
        for group in self.zipped:
            counts = dict.fromkeys(len(self.grid.get(name, "1")) for name in group.split(","))
            if len(counts) > 1 or len(set(names)) < len(names):
                told = listed(list(map(str, counts)), "and")
                raise InvalidInputError(
                    "zipped", group, f"different options with equally many values (these have {told})"
                )
        self._conditions()
        if self.skip_invalid and self.combinations > MAX_VALIDATED:
            allowed = f"a grid of at most {MAX_VALIDATED:,} combinations (this one has {self.combinations:,})"
            raise InvalidInputError("skip_invalid", Described("given"), allowed)
        if self.sampling is not None and (self.zipped or self.beside):
            allowed = Beside("zipped or conditional values")
            raise InvalidInputError("sampler", self.sampling.sampler, allowed)
        return self

    def _conditions(self) -> list[tuple[str, str, frozenset[Any]]]:
        """Return the conditions of `beside`: an option, the other one, and the values of that.

        A condition on an option that has one itself comes after that one.
        """
        model, found = self.model, {}
        names = [text.partition("@")[0] for text in self.beside]
        for name, text in zip(names, self.beside, strict=True):
            condition = text.partition("@")[2]
            other, _, values = condition.partition("=")
            several = names.count(name) > 1
            if several or not {name, other} <= self.grid.keys() or model.model_fields[name].is_required():
                allowed = "one condition for an option with a default, beside another one, which vary"
                raise InvalidInputError("beside", text, f"{allowed}: {', '.join(self.grid)}")
            known = self.grid[other]
            try:
                one, parts = axis(model, other), values.split(",")
                is_number = one.value.kind in (int, float)
                points = sum(Range.parse(each).count or 1 for each in parts if is_number and is_range(each))
                # Rounding makes many points one.
                read = frozenset() if points > len(known) else frozenset(one(values))
            except (ValueError, TypeError, OverflowError):
                read = frozenset()
            if not read or not read.issubset(known):
                raise InvalidInputError(name, Described(f"@{condition}"), f"@{other}={','.join(map(written, known))}")
            found[name] = name, other, read
        try:
            order = TopologicalSorter({name: (other,) for name, other, _ in found.values()}).static_order()
            return [found[name] for name in order if name in found]
        except CycleError:
            raise InvalidInputError("beside", Described("a circle of conditions"), "conditions without one") from None

    @model_validator(mode="after")
    def _check_drawn(self) -> Self:
        if len(self.drawn) > (0 if self.sampling is None else self.sampling.samples):
            raise ValueError(f"{len(self.drawn)} configurations are drawn, more than were wanted")
        if any(point.keys() != self.grid.keys() for point in self.drawn):
            raise ValueError("a configuration that was drawn has other options than those that vary")
        space = self.space if self.drawn else {}
        for point in self.drawn:
            outside = [name for name, value in point.items() if value not in space[name]]
            if outside:
                raise ValueError(f"a configuration that was drawn has another {outside[0]} than the sampler may choose")
        return self

    @field_serializer("grid")
    def _write_grid(self, grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        return {
            name: tuple(str(value) if isinstance(value, Range) else value for value in values)
            for name, values in grid.items()
        }

    @property
    def trained_by(self) -> registry.AnyTrainer:
        """The trainer."""
        return registry.trainer(self.trainer)

    @property
    def source(self) -> str:
        """The data set as `Trainer.load` takes it.

        Raises:
            DatasetError: it is a path that no command writes. A stranger's folder could bring its data set by one.
        """
        path, known = Path(self.data), (self.trained_by.data, *self.trained_by.datasets)
        if self.data not in known and (not path.is_absolute() or ".." in path.parts or path.parts[1:2] == ("proc",)):
            raise DatasetError(f"The data set {clipped(self.data)!r} of the sweep is not an absolute path")
        return self.data

    @property
    def model(self) -> type[BaseModel]:
        """The model of options that the trainer has for the fixed ones."""
        return self.trained_by.options_for(self.options)

    @property
    def space(self) -> dict[str, Dimension]:
        """What a sampler chooses from."""
        model = self.model
        return {name: Dimension(each, integers=axis(model, name).is_integer) for name, each in self.grid.items()}

    @property
    def size(self) -> int:
        """The number of jobs, also those that are left out; with a sampler, once all are drawn, if they differ."""
        each = self.combinations
        if self.beside and each <= MAX_JOBS:
            # Those that differ only in an option without its condition are one.
            each = len({tuple(point.values()) for point in self._combinations()})
        return len(self.seeds) * (each if self.sampling is None else self.sampling.samples)

    @property
    def combinations(self) -> int:
        """The number of combinations of the values of its grid, before any is left out."""
        return math.prod(len(self.grid[group[0]]) for group in self._groups)

    @property
    def _groups(self) -> list[list[str]]:
        """The options whose values go together, in the model's order; each other option is alone."""
        groups = {name: group for group in (each.split(",") for each in self.zipped) for name in group}
        return [group for name in self.grid if name in (group := groups.get(name, [name]))[:1]]

    def extended(self, seeds: Sequence[int], grid: Mapping[str, Sequence[Any]]) -> SweepSpecification:
        """Return the specification with further seeds, and with further values of options.

        Args:
            seeds: The further seeds.
            grid: The further values. An option that was fixed varies from then on.

        Raises:
            ValueError: a value is invalid, the specification has it already, a sampler chooses the values, or they
                are zipped.
        """
        if any(name in group.split(",") for group in self.zipped for name in grid):
            raise ValueError("zipped options have no further values")
        if grid and self.sampling is not None:
            raise ValueError("a sampler chooses the configurations of the sweep")
        both = (*self.seeds, *seeds)
        if len(set(both)) < len(both):
            raise ValueError("the sweep has a seed already")
        model = self.model
        further = {name: tuple(_value(model, name, value) for value in values) for name, values in grid.items()}
        longer = {name: (*self.values(name), *values) for name, values in further.items()}
        repeated = [name for name, values in longer.items() if len(set(values)) < len(values)]
        if repeated:
            raise ValueError(f"{repeated[0]} has a value more than once")
        if longer.keys() <= self.grid.keys():
            # Not validated again: the earlier values have been, and may be many.
            return self.model_copy(update={"seeds": both, "grid": {**self.grid, **longer}})
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        options = {name: value for name, value in self.options.items() if name not in grid}
        return type(self).model_validate({**fields, "seeds": both, "options": options, "grid": {**self.grid, **longer}})

    def read_points(self, points: Sequence[Mapping[str, Any]]) -> tuple[Point, ...]:
        """Return configurations of the sweep with their values in the types of the options that vary, in their order.

        Raises:
            ValueError: a value is invalid, the options are not those that vary, or the sweep does not have the
                configuration.
        """
        if any(point.keys() != self.grid.keys() for point in points):
            raise ValueError("a configuration has other options than those that vary")
        model = self.model
        read = tuple(_read(model, point) for point in points)
        if self.sampling is not None or self.zipped or self.beside:
            known = {tuple(point.values()) for point in self.points()}
            has_all = all(tuple(point.values()) in known for point in read)
        else:
            # Without listing the configurations of a grid.
            values = {name: frozenset(each) for name, each in self.grid.items()}
            has_all = all(point[name] in values[name] for point in read for name in point)
        if not has_all or (self.skip_invalid and not all(map(self._is_possible, read))):
            raise ValueError("the sweep does not have a configuration")
        return read

    @property
    def remaining(self) -> int:
        """The number of configurations that the sampler has not chosen yet; 0 without a sampler."""
        return 0 if self.sampling is None else self.sampling.samples - len(self.drawn)

    def values(self, name: str) -> tuple[Any, ...]:
        """Return the values of an option, whether it varies or not."""
        return self.grid[name] if name in self.grid else (self.options[name],)

    def extremes(self, name: str) -> tuple[Any, ...]:
        """Return an option's values, or the ends of its range."""
        values = self.values(name)
        if not isinstance(values[0], Range):
            return values
        kind = int if axis(self.model, name).is_integer else float
        return kind(values[0].low), kind(values[0].high)

    def points(self) -> Iterator[Point]:
        """Yield each configuration as the values of the options that vary, in the model's order.

        In a grid, the last option varies fastest, and values come in the order in which they were given. Those of a
        sampler come in its order, each once.
        """
        points = itertools.chain.from_iterable(self._batches())
        yield from {tuple(point.values()): point for point in points}.values()

    def _batches(self) -> Iterator[Sequence[Point]]:
        """Yield the configurations in the batches in which they are trained."""
        if self.sampling is None:
            points = {tuple(point.values()): point for point in self._combinations()}
            yield [point for point in points.values() if not self.skip_invalid or self._is_possible(point)]
            return
        width = self.sampling.sampler_batch or max(1, len(self.drawn))
        for first in range(0, len(self.drawn), width):
            yield self.drawn[first : first + width]

    def _combinations(self) -> Iterator[Point]:
        axes = [
            [dict(zip(group, each, strict=True)) for each in zip(*map(self.values, group), strict=True)]
            for group in self._groups
        ]
        conditions, model = self._conditions(), self.model
        for parts in itertools.product(*axes):
            own = dict(itertools.chain.from_iterable(part.items() for part in parts))
            point = {name: own[name] for name in self.grid}
            for name, other, values in conditions:
                if point[other] not in values:
                    point[name] = model.model_fields[name].default
            yield point

    def _is_possible(self, point: Point) -> bool:
        options = {**self.options, **point}
        try:
            self.trained_by.options_for(options).model_validate(options)
        except (ValidationError, InvalidInputError):
            return False
        return True

    def _jobs_of(self, point: Point, seeds: Sequence[int], dataset: str) -> list[Job]:
        options = _in_order(self.model, {**self.options, **point})
        first = Job.of(options, seed=seeds[0], dataset=dataset, trainer=self.trainer)
        # They share what is the same, also the set of names, which is as large as a job.
        return [Job.model_construct(first.model_fields_set, **{**dict(first), "seed": seed}) for seed in seeds]

    def jobs_under(self, seeds: Sequence[int], points: Sequence[Point], dataset: str) -> Iterator[Job]:
        """Yield the jobs of some configurations under some seeds, seed by seed; none without seeds."""
        each = (self._jobs_of(point, seeds, dataset) for point in points) if seeds else ()
        return itertools.chain.from_iterable(zip(*each, strict=True))

    def jobs(self, dataset: str) -> list[Job]:
        """Return the jobs on the data set with this digest, seed by seed.

        All configurations come under the first seed, then all under the second: a sweep that ends early has trained
        each configuration under nearly the same seeds. Optuna's configurations come batch by batch; one that it chose
        twice has its jobs twice.
        """
        return [job for batch in self._batches() for job in self.jobs_under(self.seeds, batch, dataset)]

    def jobs_by_key(self, dataset: str) -> dict[str, Job]:
        """Return the jobs as `jobs` does, by their keys."""
        return {job.key: job for job in self.jobs(dataset)}


def _is_single(values: object) -> bool:
    return isinstance(values, (list, tuple)) and len(values) == 1 and not is_range(values[0])


def _in_order(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in model.model_fields if name in values} | dict(values)


def _read(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(model, name, value) for name, value in _in_order(model, values).items()}


def _value(model: type[BaseModel], name: str, value: object, *, may_be_range: bool = False) -> Any:
    """Return the value of an option in its type; with `may_be_range`, also a range without a number of points."""
    if name not in model.model_fields:
        raise ValueError(f"{name[:80]!r} is not an option of the trainer")
    try:
        return axis(model, name).value_or_range(value) if may_be_range else axis(model, name).value(value)
    except RefusedError:
        raise
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"invalid {name}; allowed: {allowed(model.model_fields[name])}") from None
