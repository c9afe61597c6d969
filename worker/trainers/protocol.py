"""The promises of a trainer, so that its jobs are counted exactly once, can be resumed, and can be reproduced."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from nn.datasets import MNIST_DIGEST
from nn.errors import clipped

#: The largest artifact and the largest state of a checkpoint, in bytes, unless a trainer's `max_bytes` says otherwise.
MAX_BYTES = 2**26
#: The largest metric: the squares of many such numbers can still be added up.
MAX_SCORE = 1e100


def as_number(value: Any) -> float | None:
    """Return a metric as a float; None for a text, or if the value cannot be converted."""
    try:
        return None if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


OptionsT = TypeVar("OptionsT", bound=BaseModel)
DataT = TypeVar("DataT", bound="Data")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a trainer measures on its validation samples after every epoch.

    Attributes:
        name: Its name in tables and messages, such as `validation accuracy`.
        higher_is_better: Whether the configuration with the highest mean ranks first.
        is_share: Whether it is the share of right answers, from 0 to 1. It is shown in percent.
    """

    name: str
    higher_is_better: bool = True
    is_share: bool = False

    def shown(self, value: float | None) -> str:
        """Return a value with its unit, as sentences show it; a dash for None."""
        return f"{self.number(value)} %" if self.is_share and value is not None else self.number(value)

    def number(self, value: float | None) -> str:
        """Return a value as tables show it, whose heading has the unit; a dash for None."""
        if value is None:
            return "-"
        return f"{100 * value:z.2f}" if self.is_share else f"{value:z.5g}"

    def refusal(self, value: object) -> str | None:
        """Return why a value is none of this metric, such as `nan as loss; allowed: ...`; None if it is one."""
        number = as_number(value)
        if number is None or not abs(number) <= MAX_SCORE:
            return f"{clipped(repr(value))} as {self.name}; allowed: a number of at most {MAX_SCORE:g}"
        if self.is_share and not 0 <= number <= 1:
            return f"{number} as {self.name}; allowed: a share from 0 to 1"
        return None


class Data(Protocol):
    """A loaded data set. `digest` is the SHA-256 of its content, in hexadecimal, whatever its source."""

    @property
    def digest(self) -> str:
        """The SHA-256, in hexadecimal."""


@dataclass(frozen=True)
class Checkpoint:
    """Where training resumes: the number of trained epochs, and the trainer's state after them."""

    epochs: int
    state: bytes


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The outcome of training.

    Attributes:
        artifact: The trained model as bytes, at most `max_bytes`; equal models give equal bytes. Never a pickle. Its
            file is named `.safetensors` if it has that format, `.bin` otherwise.
        stopped: Why training ended before its last epoch, as one sentence, although all is well: `no improvement for 5
            epochs`; None if it did not. The job succeeds, with fewer epochs. No checkpoint is offered after its last
            one: training that resumes there would go on.
        problem: Why the job counts as diverged, as one sentence; None if it succeeded. A diverged job ranks with its
            last metric, and so needs one: if none was reported, the job fails, with the problem as its reason.
        correct: If the metric is a share of right answers, whether each validation sample was answered correctly.
    """

    artifact: bytes
    stopped: str | None = None
    problem: str | None = None
    correct: Sequence[bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The result of a trained model on its test split.

    Attributes:
        value: The metric on the test split.
        correct: If the metric is a share of right answers, whether each sample was answered correctly.
    """

    value: float
    correct: Sequence[bool] | None = None


#: The largest picture of a drawing, in bytes, and its first bytes, which its width and height follow.
MAX_PICTURE = 2**20
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A table or a picture of a trained model.

    Attributes:
        title: Its heading.
        columns: A table's headings.
        rows: A table's rows: a text or a number for each column.
        png: A picture, as a PNG file of at most 1 MiB.

    Raises:
        ValueError: it is neither a table nor a picture, a row has another length, or a cell is neither a text nor a
            finite number.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str | float]] = ()
    png: bytes | None = None

    def __post_init__(self) -> None:
        """Check it where the trainer makes it, and take other kinds of numbers as floats."""
        rows = [[cell if isinstance(cell, (str, int)) else float(cell) for cell in row] for row in self.rows]
        object.__setattr__(self, "rows", rows)
        texts = (self.title, *self.columns)
        if not all(isinstance(text, str) for text in texts) or not all(
            isinstance(cell, str) or math.isfinite(cell) for row in rows for cell in row
        ):
            raise ValueError("a drawing has texts and finite numbers")
        if bool(self.columns) == (self.png is not None) or any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a drawing has columns and rows of as many cells, or it has a png")
        if self.png is not None and not (self.png.startswith(PNG) and len(PNG) + 8 < len(self.png) <= MAX_PICTURE):
            raise ValueError(f"a picture is a PNG file of at most {MAX_PICTURE} bytes")


class OnEpoch(Protocol):
    """Called after each epoch, with the metric. It may raise an exception, which the trainer must let pass."""

    def __call__(
        self, value: float, checkpoint: Callable[[], bytes] | None = None, others: Mapping[str, float] | None = None
    ) -> None:
        """Record an epoch.

        Args:
            value: The metric on the validation samples: a number from -1e100 to 1e100. Beyond that, the trainer ends
                and returns a problem instead.
            checkpoint: Returns the state after this epoch, from which `train` can resume; it is called before this
                call returns, or never. None if training cannot resume, or if no epoch follows.
            others: Further metrics, by name: exactly those that `Trainer.others` describes.
        """


class Trainer(ABC, Generic[OptionsT, DataT]):
    """Trains models of one kind. It has no state: all objects of the class are alike.

    Options are read by the model that `options_for` returns, and metrics are described by `metric_of`: by default,
    `Options` and `metric`.

    Attributes:
        name: Lower-case letters, digits and hyphens; the name of the entry point.
        version: Raised whenever the same options, seed and data would give other bits, or a default changes.
        Options: A frozen model that forbids unknown fields. A field is an option, and its description its help.
        metric: What is measured, unless `metric_of` says otherwise.
        exact: Whether the same job gives the same bits on every CPU. If not, differences between CPUs are expected.
        shares: What a worker does once, before it forks its processes, which then share the memory: with `data`, it
            loads; with `all`, it prepares, too; with `nothing`, each process does both for itself. Forked processes
            lack the worker's threads, which libraries start when they first compute in parallel (OpenMP) or at all
            (JAX), and hang if they need them. None means `data`, and refuses threads that `load` leaves behind.
        packages: The distributions whose versions may change the bits, if the trainer is not exact.
        datasets: Names that `load` takes, besides the paths of files or folders.
        data_help: The sources that `load` takes, as the end of a sentence.
        data: The source of the data set that is used by default.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    Options: ClassVar[type[BaseModel]]
    metric: ClassVar[Metric]
    exact: ClassVar[bool] = False
    shares: ClassVar[Literal["nothing", "data", "all"] | None] = None
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    datasets: ClassVar[tuple[str, ...]] = ()
    data_help: ClassVar[str] = "the path of a file"
    data: ClassVar[str]

    @abstractmethod
    def load(self, source: str, cache_dir: Path) -> DataT:
        """Load a data set: once for each worker, or for each of its processes (`shares`).

        Args:
            source: One of `datasets`, or an absolute path.
            cache_dir: A folder for what takes long to prepare. Others may have written to it.

        Raises:
            DatasetError: the data set is missing, damaged, or not for this trainer.
        """

    @abstractmethod
    def train(
        self, options: OptionsT, seed: int, data: DataT, *, on_epoch: OnEpoch, resume_from: Checkpoint | None = None
    ) -> Trained:
        """Train a model. The result and the metrics depend on options, seed and data only.

        It changes nothing outside: it does not seed global generators, start processes, or print.

        Args:
            options: The options.
            seed: From 0 to 2**32 - 1.
            data: The data set.
            on_epoch: Must be called after each of the `epochs`; less often only if training diverges or stops.
            resume_from: A checkpoint of the same job. Training goes on after it, to the same bits.

        Raises:
            WeightsError: the checkpoint is invalid. Training then starts from the first epoch.
        """

    def options_for(self, given: Mapping[str, Any]) -> type[BaseModel]:
        """Return the model of the options that exist for some values: `Options`, unless overridden.

        Options may depend on the value of another one, as an estimator's parameters do on its class. The model then has
        further fields, with defaults. Every model has the fields of `Options`, with the same types and defaults. A
        sweep is read by the model for the values that all its jobs share. So it can vary a further field only if the
        value that the field depends on is the same in all jobs. A job is read by the model for all its options, which
        has every field of the sweep's model.

        Args:
            given: Some, all or none of the options by name, as text or in JSON's types; untrusted. Values that no
                field depends on are left for the model to check.

        Returns:
            A frozen model that forbids unknown fields; for equal values the same class.

        Raises:
            InvalidInputError: a value that the fields depend on is invalid.
        """
        return self.Options

    def metric_of(self, options: OptionsT) -> Metric:
        """Return what is measured of a job: the same for all jobs that `check` lets into one sweep."""
        return self.metric

    def epochs(self, options: OptionsT) -> int:
        """Return the number of epochs that a job trains: the option `epochs`, or 1 if there is none."""
        return int(getattr(options, "epochs", 1))

    # What follows has defaults that suit most trainers.

    def continued(self, options: OptionsT, longer: OptionsT, artifact: bytes) -> bytes | None:
        """Return the state from which a longer job continues a finished one, to the bits of an uninterrupted job.

        It is the state that `train` would have given to `on_epoch` after the last epoch, had others followed.

        Returns:
            The state; None if the artifact does not determine it. The longer job then starts from the first epoch.

        Raises:
            WeightsError: the artifact does not belong to a job with these options.
        """
        return None

    def prepare(self, data: DataT) -> None:
        """Do what all jobs need, such as compiling: after `load`, once for each process that trains (`shares`).

        A trainer has no state: what this makes belongs to `data`, or to the module.
        """

    def digest(self, source: str, cache_dir: Path) -> str:
        """Return the digest of the data set that `load` would return; errors as for `load`."""
        return self.load(source, cache_dir).digest

    def check(self, values: Mapping[str, Sequence[Any]], digest: str, load: Callable[[], DataT]) -> None:
        """Reject combinations of values that `Options` allows one by one, before a sweep begins.

        Args:
            values: All values of each option in the sweep; of a range, its ends.
            digest: The data set's digest.
            load: Returns the data set.

        Raises:
            InvalidInputError: names the option, its value and what is allowed.
        """

    def check_artifact(self, options: OptionsT, digest: str, artifact: bytes) -> None:
        """Check an untrusted artifact before it is kept.

        Raises:
            WeightsError: it does not belong to a job with these options.
        """

    def max_bytes(self, options: OptionsT, digest: str) -> int:
        """Return the most bytes that an artifact, or the state of a checkpoint, can have on a data set."""
        return MAX_BYTES

    def draws_split(self, options: OptionsT) -> bool:
        """Return whether a job's seed also draws which samples train and which validate, as the option `split` may say.

        Jobs of different seeds are then validated on different samples; those of one seed and sweep, on the same.
        """
        return getattr(options, "split", None) == "seed"

    def samples(self, options: OptionsT, digest: str) -> int | None:
        """Return the number of training samples, to which the time of an epoch is proportional; None if unknown."""
        return None

    def held_out(self, options: OptionsT) -> int:
        """Return the size of the test split: samples that neither train nor validate."""
        return 0

    def test(self, options: OptionsT, data: DataT, artifact: bytes) -> Evaluated:
        """Evaluate a trained model on its test split. Called only if `held_out` is not 0.

        Raises:
            WeightsError: the artifact does not belong to a job with these options.
        """
        raise NotImplementedError

    def drawings(self, options: OptionsT, artifact: bytes, load: Callable[[], DataT]) -> Sequence[Drawing]:
        """Return tables and pictures of a trained model, for `orchestrator show` and the report.

        Args:
            options: The job's options.
            artifact: The model; untrusted, apart from `check_artifact`.
            load: Returns the data set; not called if nothing drawn depends on it.
        """
        return ()

    def others(self, options: OptionsT) -> tuple[Metric, ...]:
        """Return further metrics, which are kept beside the metric, and which `--metric` ranks by. Names differ."""
        return ()

    @property
    def versions(self) -> frozenset[int]:
        """The versions of the jobs that this version trains."""
        return frozenset({self.version})

    def version_of(self, options: OptionsT) -> int:
        """Return the version of a job: an earlier one if the last change of the version did not touch its options."""
        return self.version

    def is_exact(self, options: OptionsT) -> bool:
        """Return whether a job gives the same bits on every CPU; by default, `exact`."""
        return self.exact

    def named(self, options: OptionsT) -> dict[str, Any]:
        """Return the options that the job's key contains: those that differ from their defaults, in JSON's types."""
        return options.model_dump(mode="json", exclude_defaults=True)

    def data_name(self, source: str, digest: str) -> str:
        """Return the name of a data set in tables: `MNIST` for it, and the source for another data set."""
        return "MNIST" if digest == MNIST_DIGEST else source

    def model_name(self, common: Mapping[str, Any], digest: str) -> tuple[str, frozenset[str]]:
        """Return a name in tables for models with these common options, and the options that it shows; or no name."""
        return "", frozenset()
