"""A trainer with the options, seeds and data of its checks; what it trained is remembered."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nn.errors import InvalidInputError, clipped
from nn.files import digest
from worker.trainers.environment import ONE_THREAD, variables
from worker.trainers.protocol import Checkpoint, Trained, as_number
from worker.trainers.registry import AnyTrainer
from worker.trainers.sharing import SharedData

#: Most objects of a data set that are searched for arrays.
_MAX_OBJECTS = 10_000


class Broken(Exception):  # noqa: N818 - it never leaves this package
    """A promise is broken. The message says which, with which options, and what to do."""


@dataclass
class Recorded:
    """What a training reported and returned.

    Attributes:
        values: The metric after each epoch.
        others: The further metrics after each epoch.
        states: The state after an epoch, by the number of the epoch, for each checkpoint that was offered and taken.
        trained: What `train` returned.
    """

    values: list[Any] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    states: dict[int, Any] = field(default_factory=dict)
    trained: Trained = field(default_factory=lambda: Trained(artifact=b""))

    def facts(self, first: int = 0) -> dict[str, Any]:
        """Return what must be the same in every training of a job, in JSON's types; without the `first` epochs."""
        artifact, correct = self.trained.artifact, self.trained.correct
        return {
            "metrics": [_exact(value) for value in self.values[first:]],
            "further metrics": [{name: _exact(value) for name, value in each.items()} for each in self.others[first:]],
            "artifact": digest(artifact) if isinstance(artifact, bytes) else _exact(artifact),
            "problem": self.trained.problem,
            "stopped": self.trained.stopped,
            "correct samples": None if correct is None else [bool(each) for each in correct],
        }


@dataclass(frozen=True)
class Case:
    """What is checked, and with what.

    Attributes:
        trainer: The trainer.
        source: The source of the data set, as for `Trainer.load`.
        values: Values of options, one mapping for each training.
        seeds: The seeds.
        cache_dir: As for `Trainer.load`.
        threads: The threads that a training may use.
        memory: What was trained for earlier checks, by options and seed.
        arrays: The hashes of the data set's arrays when it was loaded.
        elsewhere: The report of another process.
        started: When the checks began, by the monotonic clock.
        variables: The environment variables then.
    """

    trainer: AnyTrainer
    source: str
    values: tuple[Mapping[str, Any], ...]
    seeds: tuple[int, ...]
    cache_dir: Path
    threads: int = 1
    memory: dict[tuple[str, int], Recorded] = field(default_factory=dict)
    arrays: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def options(self) -> tuple[BaseModel, ...]:
        """The options, one for each of `values`."""
        try:
            return tuple(self.read(values) for values in self.values)
        except (ValidationError, InvalidInputError) as error:
            raise Broken(f"it refuses the options that it is checked with: {shown(error)}") from None

    def read(self, values: Mapping[str, Any]) -> BaseModel:
        """Read options by the model that `options_for` returns for them."""
        return self.trainer.options_for(values).model_validate(values)

    @cached_property
    def shared(self) -> SharedData:
        """The data set, as the processes of a worker share it."""
        return SharedData(self.trainer, self.source, self.cache_dir)

    @cached_property
    def data(self) -> Any:
        """The data set, loaded and prepared."""
        with _limited_to(self.threads):
            data = self.shared.ready()
        self.arrays.update(arrays_of(data))
        return data

    def straight(self, options: BaseModel, seed: int) -> Recorded:
        """Train from the first epoch to the last and take every checkpoint; the same job is trained once."""
        job = options.model_dump_json(), seed
        if job not in self.memory:
            self.memory[job] = self.train(options, seed)
        return self.memory[job]

    def jobs(self) -> Iterator[tuple[BaseModel, Recorded]]:
        """Yield the options and the straight training of each, with the first seed."""
        for options in self.options:
            yield options, self.straight(options, self.seeds[0])

    def train(
        self, options: BaseModel, seed: int, *, resume_from: Checkpoint | None = None, take: bool = True
    ) -> Recorded:
        """Train a job; with `take`, take every checkpoint.

        Raises:
            Broken: `train` raised an exception, or returned something other than `Trained`.
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
            with _limited_to(self.threads):
                trained = self.trainer.train(options, seed, data, on_epoch=on_epoch, resume_from=resume_from)
        except (Exception, SystemExit) as error:
            what = "train" if resume_from is None else f"train, resumed after epoch {resume_from.epochs},"
            raise Broken(f"{what} raised {shown(error)} with {named(options)} and seed {seed}") from error
        if not isinstance(trained, Trained):
            raise Broken(f"train returned {shown(trained)} with {named(options)}; return seedsweep.Trained")
        recorded.trained = trained
        return recorded


@contextlib.contextmanager
def _limited_to(threads: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and numba to some threads, as workers do, whether they are loaded already or in the block."""
    from threadpoolctl import threadpool_limits

    with variables(dict.fromkeys(ONE_THREAD, str(threads))), threadpool_limits(threads):
        yield


def arrays_of(value: object, path: str = "data", seen: set[int] | None = None) -> Iterator[tuple[str, str]]:
    """Yield the SHA-256 of every NumPy array that is found in an object's attributes, lists and dictionaries."""
    import numpy as np

    seen = set() if seen is None else seen
    if id(value) in seen or len(seen) > _MAX_OBJECTS:
        return
    seen.add(id(value))
    parts: dict[str, object] = {}
    if isinstance(value, np.ndarray):
        if not value.dtype.hasobject:
            yield path, digest(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (list, tuple)):
        parts = {f"[{number}]": each for number, each in enumerate(value)}
    elif isinstance(value, Mapping):
        parts = {f"[{name!r}]": each for name, each in value.items()}
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        parts = {f".{name}": each for name, each in vars(value).items()}
    for name, each in parts.items():
        yield from arrays_of(each, path + name, seen)


def check_same(
    options: BaseModel, expected: Mapping[str, Any], found: Mapping[str, Any], training: str, hint: str
) -> None:
    """Check that a training has the facts (`Recorded.facts`) of a straight one; `training` begins the message."""
    if different := [name for name in expected if expected[name] != found[name]]:
        what = " and ".join(different)
        raise Broken(f"{training} differs in {what} from a straight training with {named(options)}; {hint}")


def named(options: BaseModel) -> str:
    """Return options in words, for a message."""
    told = ", ".join(f"{name}={value!r}" for name, value in options.model_dump(exclude_defaults=True).items())
    return f"the options {told}" if told else "its defaults"


def _exact(value: object) -> str:
    """Return a number in all its bits, or the text of something else."""
    number = as_number(value)
    return repr(value) if number is None else number.hex()


def shown(value: object) -> str:
    """Return a value, or an exception with its type, in at most 200 characters, on one line."""
    text = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value)
    return clipped(" ".join(text.split()), 200)
