"""A trainer with the options, seeds and data that it is checked with; what it trained is remembered."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nn.errors import InvalidInputError
from worker.trainers.checks.arrays import arrays_of
from worker.trainers.protocol import Checkpoint, Metric, Trained, Trainer

AnyTrainer = Trainer[Any, Any]
#: Workers train in one thread. With several, the order of a sum, and so its last bits, may depend on their number.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class Broken(Exception):  # noqa: N818 - it never leaves the room
    """A promise is broken. The message says which, with which options, and what to do."""


@dataclass
class Recorded:
    """What a training reported and returned.

    Attributes:
        values: The metric after each epoch.
        others: The further metrics after each epoch.
        states: The state after an epoch, by its number: where a checkpoint was offered and taken.
        trained: What `train` returned.
    """

    values: list[Any] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    states: dict[int, Any] = field(default_factory=dict)
    trained: Trained = field(default_factory=lambda: Trained(artifact=b""))

    def facts(self, first: int = 0) -> dict[str, Any]:
        """Return what must be the same in every training of a job, in JSON's types.

        Args:
            first: The epochs that were trained before.
        """
        artifact, correct = self.trained.artifact, self.trained.correct
        return {
            "metrics": [exact(value) for value in self.values[first:]],
            "further metrics": [{name: exact(value) for name, value in each.items()} for each in self.others[first:]],
            "artifact": hashlib.sha256(artifact).hexdigest() if isinstance(artifact, bytes) else exact(artifact),
            "problem": self.trained.problem,
            "correct samples": None if correct is None else [bool(each) for each in correct],
        }


@dataclass(frozen=True)
class Case:
    """What is checked, and with what.

    Attributes:
        trainer: The trainer.
        source: The source of the data set, as for `Trainer.load`.
        values: Values of options, for each way in which it is trained.
        seeds: The seeds.
        cache_dir: As for `Trainer.load`.
    """

    trainer: AnyTrainer
    source: str
    values: tuple[Mapping[str, Any], ...]
    seeds: tuple[int, ...]
    cache_dir: Path

    @cached_property
    def options(self) -> tuple[BaseModel, ...]:
        """The options, one for each of `values`."""
        try:
            return tuple(self.read(values) for values in self.values)
        except (ValidationError, InvalidInputError) as error:
            raise Broken(f"it refuses the options that it is checked with: {shown(error)}") from None

    def read(self, values: Mapping[str, Any]) -> BaseModel:
        """Read options by the model that goes together with them."""
        return self.trainer.options_for(values).model_validate(values)

    def metric(self, options: BaseModel) -> Metric:
        """Return the metric that a job with these options has."""
        return self.trainer.metric_of(options)

    @cached_property
    def data(self) -> Any:
        """The data set, loaded and prepared."""
        with one_thread():
            data = self.trainer.load(self.source, self.cache_dir)
            self.trainer.prepare(data)
        self.memory["arrays"] = arrays_of(data)
        return data

    @property
    def loaded_arrays(self) -> Mapping[str, str]:
        """The SHA-256 of each array of the data set before anything was trained on it."""
        _ = self.data
        arrays: Mapping[str, str] = self.memory["arrays"]
        return arrays

    @cached_property
    def memory(self) -> dict[Any, Any]:
        """What was trained for the checks before."""
        return {}

    def straight(self, options: BaseModel, seed: int) -> Recorded:
        """Train from the first epoch to the last and take every checkpoint; the same job is trained once."""
        job = options.model_dump_json(), seed
        if job not in self.memory:
            self.memory[job] = self.train(options, seed)
        recorded: Recorded = self.memory[job]
        return recorded

    def jobs(self) -> Iterator[tuple[BaseModel, Recorded]]:
        """Yield the options and the straight training of each, with the first seed."""
        for options in self.options:
            yield options, self.straight(options, self.seeds[0])

    def train(
        self, options: BaseModel, seed: int, *, resume_from: Checkpoint | None = None, take: bool = True
    ) -> Recorded:
        """Train a job.

        Args:
            options: The options.
            seed: The seed.
            resume_from: The checkpoint from which it is resumed.
            take: Whether checkpoints are taken.

        Raises:
            Broken: `train` raised an exception, or returned something else than `Trained`.
        """
        recorded = Recorded()
        done = resume_from.epochs if resume_from is not None else 0

        def on_epoch(
            value: Any, checkpoint: Callable[[], bytes] | None = None, others: Mapping[str, Any] | None = None
        ) -> None:
            recorded.values.append(value)
            recorded.others.append(dict(others or {}))
            if take and checkpoint is not None:
                recorded.states[done + len(recorded.values)] = checkpoint()

        data = self.data
        try:
            with one_thread():
                trained = self.trainer.train(options, seed, data, on_epoch=on_epoch, resume_from=resume_from)
        except (Exception, SystemExit) as error:
            what = "train" if resume_from is None else f"train, resumed after epoch {resume_from.epochs},"
            raise Broken(f"{what} raised {shown(error)} with {named(options)} and seed {seed}") from error
        if not isinstance(trained, Trained):
            raise Broken(f"train returned {shown(trained)} with {named(options)}; return worker.trainers.Trained")
        recorded.trained = trained
        return recorded


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and numba to one thread, as workers do: libraries in use, and those that are loaded now."""
    from threadpoolctl import threadpool_limits

    before = dict(os.environ)
    os.environ.update(ONE_THREAD)
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name in ONE_THREAD:
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Return the names of the facts in which two trainings differ; None if they do not."""
    found = [name for name in one if one[name] != other[name]]
    return " and ".join(found) or None


def named(options: BaseModel) -> str:
    """Return options in words, for a message."""
    values = options.model_dump(exclude_defaults=True)
    return (
        "the options " + ", ".join(f"{name}={value!r}" for name, value in values.items()) if values else "its defaults"
    )


def exact(value: object) -> str:
    """Return a number in all its bits, or the text of something else."""
    number = as_number(value)
    return repr(value) if number is None else number.hex()


def as_number(value: Any) -> float | None:
    """Return a value as the worker reads a metric: what converts to a float, and is no text; None for anything else."""
    try:
        return None if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def shown(value: object) -> str:
    """Return a value, or an exception with its type, in at most 200 characters, on one line."""
    text = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:197]}..."
