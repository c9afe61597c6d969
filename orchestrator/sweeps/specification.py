"""A sweep's specification: its seeds, the options that are fixed, the options that vary, and the jobs of all that."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, FailFast, field_validator, model_validator

from nn.options.describe import allowed, option
from nn.options.network import NetworkOptions, Seed
from nn.options.values import Reader
from worker.job import Job

#: The most jobs of a sweep: more are usually a typing error, and take a night to list.
MAX_JOBS = 100_000

_READERS = {name: Reader(NetworkOptions, name) for name in NetworkOptions.model_fields}
#: The options of the layout that `sweep.json` had before `options` and `grid`, by the words that it used.
_FLAT = {
    "epochs": "epochs", "hidden": "hidden_layer_sizes", "loss": "loss", "rule": "rule", "engine": "engine",
    "dtype": "dtype", "shuffle": "shuffle", "limit": "limit",
}  # fmt: skip


class SweepSpecification(BaseModel):
    """A sweep as its user describes it; `orchestrator.sweeps.fields.specification` makes one from flags or a TOML file.

    Every training option (`nn.options.network`) is either fixed or varies. An option that is missing from both gets
    its default: so a file that was written before the option existed is read as what it meant.

    Attributes:
        seeds: Every configuration is trained under each of them.
        options: The values of the options that are fixed.
        grid: The values of each option that varies, several of each. Every combination of them is a configuration. A
            single value that is given here counts as a fixed one.
        data: The source of the data set: `bundled`, `openml`, or a folder's absolute path.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: Annotated[tuple[Seed, ...], FailFast()] = (0, 1, 2, 3, 4)
    options: dict[str, Any]
    grid: dict[str, tuple[Any, ...]]
    data: str = "bundled"

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, fields: Any) -> Any:
        """Upgrade the layout of earlier versions, and add the defaults."""
        if not isinstance(fields, Mapping):
            return fields
        fields = _upgraded(fields)
        options, grid = fields.get("options", {}), fields.get("grid", {})
        if not (isinstance(options, Mapping) and isinstance(grid, Mapping)):
            return fields
        infos = {name: info for name, info in NetworkOptions.model_fields.items() if name not in {*options, *grid}}
        varied = {name: option(info).values for name, info in infos.items() if option(info).values}
        fixed = {name: info.default for name, info in infos.items() if name not in varied}
        single = {name: values[0] for name, values in grid.items() if name not in options and _is_single(values)}
        several = {name: values for name, values in grid.items() if name not in single}
        return {**fields, "options": {**fixed, **options, **single}, "grid": {**varied, **several}}

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        return {name: _read(name, value) for name, value in _in_order(options).items()}

    @field_validator("grid")
    @classmethod
    def _check_grid(cls, grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        empty = [name for name, values in grid.items() if not values]
        if empty:
            raise ValueError(f"{empty[0]} has no values")
        read = {name: tuple(_read(name, value) for value in values) for name, values in _in_order(grid).items()}
        repeated = [name for name, values in read.items() if len(set(values)) < len(values)]
        if repeated:
            raise ValueError(f"{repeated[0]} has a value more than once")
        return read

    @model_validator(mode="after")
    def _check_overlap(self) -> Self:
        both = self.options.keys() & self.grid.keys()
        if both:
            raise ValueError(f"{min(both)} is in both options and grid")
        return self

    @property
    def size(self) -> int:
        """The number of jobs."""
        return len(self.seeds) * math.prod(len(values) for values in self.grid.values())

    @property
    def axes(self) -> tuple[str, ...]:
        """The options that vary, in the model's order: those that have several values."""
        return tuple(self.grid)

    @property
    def common(self) -> dict[str, Any]:
        """The options that all configurations have in common, with their values, in the model's order."""
        return dict(self.options)

    def values(self, name: str) -> tuple[Any, ...]:
        """Return the values of an option, whether it varies or not."""
        return self.grid[name] if name in self.grid else (self.options[name],)

    def configurations(self) -> Iterator[dict[str, Any]]:
        """Yield each configuration as the values of all options, in the model's order.

        The last option varies fastest. Values come in the order in which they were given.
        """
        for values in itertools.product(*self.grid.values()):
            yield _in_order({**self.options, **dict(zip(self.grid, values, strict=True))})

    def jobs(self, dataset: str) -> list[Job]:
        """Return the jobs on the data set with this digest, seed by seed.

        All configurations come under the first seed, then all under the second: a sweep that ends early has trained
        each configuration under nearly the same seeds.
        """
        configurations = list(self.configurations())
        return [
            Job.parse({**configuration, "dataset": dataset, "seed": seed})
            for seed in self.seeds
            for configuration in configurations
        ]

    def jobs_by_key(self, dataset: str) -> dict[str, Job]:
        """Return the jobs as `jobs` does, by their keys."""
        return {job.key: job for job in self.jobs(dataset)}


def _upgraded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the layout that had all words at its top level in the present layout."""
    if "learning_rates" not in fields or fields.keys() & {"options", "grid"}:
        return dict(fields)
    options = {name: fields[word] for word, name in _FLAT.items() if word in fields}
    rest = {word: value for word, value in fields.items() if word not in _FLAT and word != "learning_rates"}
    return {**rest, "options": options, "grid": {"learning_rate": fields["learning_rates"]}}


def _is_single(values: object) -> bool:
    return isinstance(values, (list, tuple)) and len(values) == 1


def _in_order(values: dict[str, Any]) -> dict[str, Any]:
    """Return options in the model's order, those that it does not know last."""
    known = {name: values[name] for name in NetworkOptions.model_fields if name in values}
    return known | values


def _read(name: str, value: object) -> Any:
    if name not in _READERS:
        raise ValueError(f"{name[:80]!r} is not a training option")
    try:
        return _READERS[name](value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"invalid {name}; allowed: {allowed(NetworkOptions.model_fields[name])}") from None
