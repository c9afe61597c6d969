"""The contract between the layers: a job, the key that names it, the attempts at it, and its result."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    FailFast,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from nn.errors import Described, InvalidInputError
from nn.options.describe import Option, invalid_input, pair
from nn.options.network import MAX_EPOCHS, Seed
from worker.errors import TrainerUnusableError
from worker.text import one_line
from worker.trainers import registry
from worker.trainers.protocol import MAX_SCORE, Metric

Digest = Annotated[str, Field(pattern=f"^{registry.DIGEST.pattern}$")]
# Numbers are strict, because other clients of Redis may store anything: neither true nor "1" is a number.
Score = Annotated[float, Field(strict=True, ge=-MAX_SCORE, le=MAX_SCORE, allow_inf_nan=False)]
Scores = Annotated[list[Score], FailFast(), Field(max_length=MAX_EPOCHS)]
#: A duration: at most 300 years, so that sums and displayed dates stay finite.
Seconds = Annotated[float, Field(strict=True, ge=0.0, le=1e10, allow_inf_nan=False)]
Durations = Annotated[list[Seconds], FailFast(), Field(max_length=MAX_EPOCHS)]
#: A time in seconds since the epoch: until the year 5138, a date that can be shown everywhere.
Time = Annotated[float, Field(strict=True, ge=0.0, le=1e11, allow_inf_nan=False)]
#: With a bound, pydantic also rejects lone surrogates, which UTF-8 cannot encode.
MAX_TEXT = 10_000
Text = Annotated[str, Field(max_length=MAX_TEXT)]
#: The name of a worker, or what describes where or by what it trained.
Short = Annotated[str, Field(max_length=1000)]
#: A text that is shown within a sentence, and must not break its line.
OneLine = Annotated[Text, AfterValidator(lambda text: one_line(text)[:MAX_TEXT])]
ShortLine = Annotated[Short, AfterValidator(lambda text: one_line(text)[:1000])]

MAX_ATTEMPTS = 2**31 - 1
#: The most bytes of an artifact and of a checkpoint's state: of a value in Redis.
MAX_BYTES = 2**29
AttemptNumber = Annotated[int, Field(strict=True, ge=1, le=MAX_ATTEMPTS)]
#: A number of epochs that have been trained.
Epochs = Annotated[int, Field(strict=True, ge=0, le=MAX_EPOCHS)]
#: The longest job as JSON, in bytes. A valid one has about 300.
MAX_JOB_BYTES = 4096
#: The most numbers of a result: the metrics and the seconds of all epochs.
MAX_NUMBERS = 3 * MAX_EPOCHS
#: Most metrics that are kept beside the one that counts.
MAX_OTHERS = 16
#: Packed answers, in base64.
Packed = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=2**17)]
OtherName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,80}$")]


class Needs(BaseModel, frozen=True, extra="forbid"):
    """What a worker must have for a job.

    Attributes:
        trainer: The trainer's name.
        version: The version of its semantics.
        dataset: The data set's digest.
    """

    trainer: Annotated[str, Field(pattern=f"^{registry.NAME.pattern}$"), Option(allowed="the name of a trainer")] = (
        registry.DEFAULT
    )
    version: Annotated[int, Field(strict=True, ge=1, lt=2**31)]
    dataset: Annotated[Digest, Option(allowed="a SHA-256 as 64 hexadecimal digits in lower case")]

    def __str__(self) -> str:
        return f"the trainer {self.trainer}, version {self.version}, with the data set {self.dataset[:12]}"


class Configuration(Needs):
    """A job without its seed: the unit that a leaderboard ranks.

    Attributes:
        options: The trainer's options.
    """

    options: SerializeAsAny[BaseModel]

    @property
    def trained_by(self) -> registry.AnyTrainer:
        """The trainer."""
        return registry.trainer(self.trainer)

    @property
    def epochs(self) -> int:
        """The number of epochs that the job is trained."""
        return self.trained_by.epochs(self.options)

    @property
    def metric(self) -> Metric:
        """What is measured after each epoch."""
        return self.trained_by.metric_of(self.options)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that is measured: `metric`, then what is kept beside it.

        Raises:
            TrainerUnusableError: the trainer describes a metric by something else than a `Metric`.
        """
        others = self.trained_by.others(self.options)
        if not all(isinstance(each, Metric) for each in others):
            raise TrainerUnusableError(f"The trainer {self.trainer} is broken: its others are not all of type Metric")
        return (self.metric, *others)

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the metrics that are kept beside the one that counts."""
        return tuple(each.name for each in self.metrics[1:])


class Job(Configuration):
    """All that determines a result. Equal jobs that are exact train to the same bits on every worker."""

    seed: Seed

    @property
    def key(self) -> str:
        """The SHA-256, in hexadecimal, of the job's canonical form; also the id of its Celery task."""
        return key_of(self.fields())

    def fields(self) -> dict[str, Any]:
        """Return the job's canonical form, in JSON's types, as messages carry it.

        The network's jobs keep the form that they had before there were other trainers: options beside the seed.
        """
        named = self.trained_by.named(self.options)
        own = {"seed": self.seed, "dataset": self.dataset, "version": self.version}
        if self.trainer == registry.DEFAULT:
            return named | own
        return {"trainer": self.trainer, **own, "options": named}

    @property
    def is_current(self) -> bool:
        """Whether this version of its trainer trains the job. Jobs of earlier versions can only be named."""
        return self.version == self.trained_by.version_of(self.options)

    @property
    def max_bytes(self) -> int:
        """The most bytes of its artifact: what its trainer says, and no more than Redis stores."""
        return min(self.trained_by.max_bytes(self.options, self.dataset), MAX_BYTES)

    @property
    def is_exact(self) -> bool:
        """Whether the job gives the same bits on every CPU."""
        return self.trained_by.is_exact(self.options)

    def at(self, version: int) -> Job:
        """Return the job as an earlier version of the trainer named it; the same job if it is as old."""
        return self.model_copy(update={"version": min(self.version, version)})

    @property
    def needs(self) -> Needs:
        """What a worker must have for the job."""
        return Needs(trainer=self.trainer, version=self.version, dataset=self.dataset)

    @property
    def configuration(self) -> Configuration:
        """The job without its seed."""
        return Configuration.model_construct(**{name: getattr(self, name) for name in Configuration.model_fields})

    @classmethod
    def of(
        cls, options: BaseModel | Mapping[str, Any], *, seed: int, dataset: str, trainer: str = registry.DEFAULT
    ) -> Job:
        """Return the job of a trainer's options, or their values, with a seed and a data set's digest.

        Raises:
            InvalidInputError: names the field that is invalid.
            TrainerUnusableError: the trainer is installed, but cannot be imported.
        """
        fields = options.model_dump() if isinstance(options, BaseModel) else dict(options)
        return cls._read({"trainer": trainer, "seed": seed, "dataset": dataset, "options": fields})

    @classmethod
    def parse(cls, fields: Any) -> Job:
        """Read a job of a trainer that is installed from untrusted data.

        Raises:
            InvalidInputError: a field is missing, unknown or out of range, the data is too large, the trainer is not
                installed, or this version of it does not train the job.
            TrainerUnusableError: the trainer is installed, but cannot be imported.
        """
        job = cls._read(_layered(fields))
        if not job.is_current:
            current = job.trained_by.version_of(job.options)
            allowed = f"{current}, the version of such jobs that the trainer {job.trainer} trains here"
            raise InvalidInputError("version", job.version, allowed)
        return job

    @classmethod
    def _read(cls, fields: Mapping[str, Any]) -> Job:
        """Read a job in the layout with the options in a field of their own."""
        own = {name: value for name, value in fields.items() if name != "options"}
        given = fields.get("options")
        trainer = registry.trainer(str(own.get("trainer", registry.DEFAULT)))
        if not isinstance(given, Mapping):
            raise InvalidInputError("options", given, "the options of the trainer, by name")
        model = trainer.options_for(given)
        try:
            options = model.model_validate(given)
        except ValidationError as error:
            raise invalid_input(model, error, "job") from None
        try:
            return cls.model_validate({"version": trainer.version_of(options), **own, "options": options})
        except ValidationError as error:
            raise invalid_input(cls, error, "job") from None

    def words(self, varying: Collection[str] = ()) -> str:
        """Return the job as words: `seed=3 learning_rate=0.01 hidden=32,16`. `orchestrator show` takes the same words.

        Args:
            varying: Options to name first, even at their defaults. The others are named if they differ from theirs.
        """
        model = type(self.options)
        fields = model.model_fields
        others = [
            name for name, info in fields.items() if info.is_required() or getattr(self.options, name) != info.default
        ]
        told = dict.fromkeys((*(name for name in fields if name in varying), *others))
        words = (f"seed={self.seed}", *(pair(model, name, getattr(self.options, name)) for name in told))
        return one_line(shlex.join(words))

    def __str__(self) -> str:
        """Return the job for logs: its seed, and what differs from the defaults."""
        return self.words()


def needs_of(fields: Any) -> Needs | None:
    """Return what a worker must have for the job of an untrusted message; None if the message does not say."""
    layered = _layered(fields)
    try:
        return Needs.model_validate({name: layered[name] for name in Needs.model_fields if name in layered})
    except ValidationError:
        return None


def key_of(fields: Mapping[str, Any]) -> str:
    """Return the key of the job with this canonical form (`Job.fields`)."""
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def _layered(fields: Any) -> Any:
    """Return the untrusted fields of a job with `options` as one field; the network's have them beside the seed."""
    try:
        size = len(json.dumps(fields))
    except (RecursionError, ValueError, TypeError):
        # Nested too deeply, circular, with an integer of thousands of digits, or what only kombu's JSON has: a decimal
        # of billions, which would be read as an integer.
        raise InvalidInputError("job", Described("not plain JSON"), f"at most {MAX_JOB_BYTES} bytes of JSON") from None
    if size > MAX_JOB_BYTES:
        raise InvalidInputError("job", Described(f"{size} bytes"), f"at most {MAX_JOB_BYTES} bytes of JSON")
    if not isinstance(fields, Mapping):
        raise InvalidInputError("job", fields, "an object with the fields of a job")
    if "options" in fields or "trainer" in fields:
        return fields
    own = {name: value for name, value in fields.items() if name in Job.model_fields}
    return {**own, "options": {name: value for name, value in fields.items() if name not in own}}


#: A task is one passage of a job through the queue: the job's own, or a verification task, which has a label.
TASK_ID = re.compile(r"[0-9a-f]{64}(\.[a-z0-9-]{1,40})?")


def task_id(job: Job, label: str | None = None) -> str:
    """Return a Celery task id for a job: the job's key, or `<job key>.<label>` for a verification task.

    A label has 1 to 40 lower-case letters, digits and hyphens; workers refuse any other task id.
    """
    return job.key if label is None else f"{job.key}.{label}"


def is_task_id(name: str) -> bool:
    """Return whether a text is the Celery task id of any job."""
    return TASK_ID.fullmatch(name) is not None


def check_lengths(scores: list[float], others: Mapping[str, list[float]], seconds: list[float]) -> None:
    """Raise `ValueError` unless there is at least one epoch, and each list has one value per epoch."""
    if not scores:
        raise ValueError("a result has at least one epoch")
    if any(len(values) != len(scores) for values in (seconds, *others.values())):
        raise ValueError("a result has one value of each metric and one duration per epoch")


def check_numbers(epochs: int, others: int) -> None:
    """Raise `ValueError` if this many epochs and further metrics make a result too long."""
    if epochs * (2 + others) > MAX_NUMBERS:
        raise ValueError(f"a result has at most {MAX_NUMBERS:,} numbers; this one has {epochs} epochs of {2 + others}")


#: Why an attempt was made.
Cause = Literal[
    "first run",
    "worker lost",  # The worker of the previous attempt died.
    "child lost",  # The process of the previous attempt died; its worker lives.
    "hung",  # The process of the previous attempt made no progress, and its worker ended it.
    "given back",  # The worker of the previous attempt was shut down.
    "delivered again",  # The previous attempt may still run: its worker lives, but lost the message.
    "submitted again",  # The previous attempt ended, and the job was submitted again.
]
#: How an attempt ended.
End = Literal["finished", "failed", "cancelled", "given back", "child lost", "hung", "worker lost"]


class Attempt(BaseModel, frozen=True, strict=True):
    """One execution of a task by one worker. Times are in seconds since the epoch, by Redis's clock."""

    number: AttemptNumber
    cause: Cause
    worker: OneLine
    started: Time
    #: The number of epochs in the checkpoint from which the attempt began.
    epochs_before: Epochs = 0
    #: None while the attempt runs, and if its end was never recorded.
    end: End | None = None
    #: When the end was recorded: for a lost worker, by the next attempt.
    ended: Time | None = None


class Result(BaseModel, frozen=True, extra="forbid"):
    """The return value of an attempt, stored as JSON.

    Attempts of one job differ only in `epoch_seconds` and in what describes the attempt; those of a job that is not
    exact may also differ in what was trained.
    """

    job: Digest
    status: Literal["succeeded", "diverged"]
    #: The trainer's metric on the validation set after each epoch: fewer epochs than the job's if it diverged or
    #: stopped (`misfit`).
    validation_score: Scores = Field(min_length=1)
    #: The trainer's further metrics after each epoch, by name.
    others: dict[OtherName, Scores] = Field(default_factory=dict, max_length=MAX_OTHERS)
    epoch_seconds: Durations
    #: SHA-256 and size in bytes of the weights: the artifact of the trainer.
    weights_sha256: Digest
    weights_bytes: int = Field(strict=True, ge=1, le=2**31)
    #: The Celery name of the worker that finished the job.
    worker: Short
    #: The attempt that made the result: its number, when it began and ended, why it was made, and with how many epochs
    #: it began.
    attempts: AttemptNumber
    started: Time | None = None
    ended: Time | None = None
    cause: Cause = "first run"
    epochs_before: Epochs = 0
    #: The reason why the job counts as diverged; None if it succeeded.
    error: Short | None = None
    #: Why it succeeded with fewer epochs than the job's; None if it has all.
    stopped: Short | None = None
    #: Which validation samples were answered correctly at the end (`worker.records.answers`), if the metric is a share
    #: of them.
    correct: Packed | None = None
    #: Where the job was trained, if it is not exact: attempts in one environment should agree.
    environment: ShortLine | None = None
    #: What trained it, if the trainer is not Seedsweep's own (`worker.trainers.registry.code`).
    code: ShortLine | None = None

    _metric: Metric | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_lengths(self.validation_score, self.others, self.epoch_seconds)
        check_numbers(len(self.validation_score), len(self.others))
        return self

    @property
    def made_by(self) -> str | None:
        """The environment and the code, of which others may train to other bits; None if neither matters."""
        return ", ".join(filter(None, (self.environment, self.code))) or None

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that made the result; None if the result does not say when that began."""
        if self.started is None:
            return None
        known = {name: getattr(self, name) for name in ("worker", "started", "ended", "cause", "epochs_before")}
        return Attempt(number=self.attempts, end="finished", **known)

    def __json__(self) -> dict[str, Any]:
        """Return the form in which Celery stores the result."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def __repr__(self) -> str:
        """Return a line for logs and Flower, short enough not to be truncated."""
        metric = self._metric or Metric(name="validation score")
        return (
            f"{self.status}: {metric.name} {metric.shown(self.validation_score[-1])} after "
            f"{len(self.epoch_seconds)} epochs in {sum(self.epoch_seconds):.2f} s, attempt {self.attempts}"
        )

    def measured_by(self, metric: Metric) -> Self:
        """Return the result with the metric that `repr` names; the metric is not stored."""
        self._metric = metric
        return self


def misfit(
    job: Job, status: str, scores: Collection[float], others: Collection[str], stopped: str | None = None
) -> str | None:
    """Return why a result does not belong to a job, as the end of a sentence; None if it may.

    It has fewer epochs than the job only if it diverged or `stopped`, and stopped only if it has fewer.
    """
    if stopped is not None and len(scores) == job.epochs:
        return "all epochs, and a reason why it stopped before"
    may_be_short = status == "diverged" or stopped is not None
    if len(scores) != job.epochs and not (may_be_short and 1 <= len(scores) < job.epochs):
        return f"{len(scores)} epochs; the job has {job.epochs}"
    if set(others) != set(job.others):
        return f"the further metrics {sorted(others)}; the job's are {sorted(job.others)}"
    if job.metric.is_share and not all(0.0 <= score <= 1.0 for score in scores):
        return f"a {job.metric.name} that is not from 0 to 1"
    return None


class Mismatch(BaseModel, frozen=True):
    """Two executions of one job that ended with different weights.

    Attributes:
        first: SHA-256 of the weights that were stored first.
        second: SHA-256 of the other weights.
        run: Id of the task that trained the other weights.
        worker: Celery name of the worker that trained them.
    """

    first: Short
    second: Short
    run: Short
    worker: ShortLine


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text for one value.

    Raises:
        InvalidInputError: a number is infinite or NaN, which a trainer's own model may have let through.
    """
    try:
        return _CANONICAL.encode(value)
    except ValueError:
        raise InvalidInputError("options", Described("not plain JSON"), "finite numbers") from None
