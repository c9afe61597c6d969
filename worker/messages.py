"""What travels through the queue: the names on the wire, how a job's message is written, and how it is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from celery import Celery
from celery.canvas import Signature
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nn.errors import InvalidInputError
from worker.errors import JobRefusedError
from worker.job import MAX_ATTEMPTS, Job, is_task_of, task_id

#: The name of the task: messages carry it.
TRAIN = "worker.tasks.train"
QUEUE = "seedsweep"
#: Where messages wait that a worker holds and has not acknowledged.
UNACKED = "seedsweep:unacked"
#: When each was delivered, or its lease last renewed.
UNACKED_INDEX = f"{UNACKED}_index"
#: Remote control: broadcasts go to the exchange `CONTROL`, answers to `REPLIES`.
CONTROL_NAMESPACE = "seedsweep"
CONTROL = f"{CONTROL_NAMESPACE}.pidbox"
REPLIES = f"reply.{CONTROL}"
#: The exchange of Celery's events.
EVENTS = "seedsweep.ev"

#: The most that a job's message may take, in bytes. The longest valid one takes about 3,000.
MAX_TASK_BYTES = 16_384
#: How far ahead a retry may be scheduled. Celery schedules one `default_retry_delay` ahead (`worker.tasks`), by the
#: clock of the worker that lost the process; the rest is for clocks that disagree.
MAX_RETRY_AHEAD = timedelta(seconds=60)


def signature(app: Celery, job: Job, *, label: str | None = None) -> Signature:
    """Return the message that runs a job: `signature(app, job).apply_async()` queues it and subscribes to nothing.

    Args:
        app: The app of the cluster (`worker.app.create_app`).
        job: What to train.
        label: None for the job's own run; otherwise the name of a further run, which trains it again and compares.
            The task's id is `job.task_id(job, label)`.
    """
    return app.tasks[TRAIN].signature(
        kwargs={"job": job.model_dump(mode="json")},
        task_id=task_id(job, label),
        # What Flower and the logs show of the arguments.
        argsrepr="",
        kwargsrepr=str(job),
    )


def accept(task_id: str, job: Any, *more: Any, **unknown: Any) -> Job:
    """Read the job of a message that anyone may have sent.

    Raises:
        JobRefusedError: it is malformed, too large, of another version, or not the job that the task's id names.
    """
    if more or unknown:
        raise JobRefusedError("the message has arguments beside its job; allowed: job alone")
    try:
        parsed = Job.parse(job)
    except InvalidInputError as error:
        raise JobRefusedError(f"the message holds no valid job: {error}") from None
    if not is_task_of(task_id, parsed):
        raise JobRefusedError(f"the message is named {task_id[:80]!r}; its job's key is {parsed.key}")
    return parsed


class Exact(BaseModel):
    """A model that rejects unknown fields and converts no types: what it accepts holds exactly what it names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _in_time(eta: str) -> str:
    when = datetime.fromisoformat(eta)
    if when.tzinfo is None or when - datetime.now(UTC) > MAX_RETRY_AHEAD:
        raise ValueError(f"allowed: a time with its zone, at most {MAX_RETRY_AHEAD.seconds} s ahead")
    return eta


TaskId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}(\.[a-z0-9-]{1,40})?$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
#: The name of a worker, a host or a process: no spaces, nothing that acts on a terminal.
Name = Annotated[str, Field(pattern=r"^[!-~]{1,300}$")]
Line = Annotated[str, Field(pattern=r"^[ -~]{0,1100}$")]

HeadersT = TypeVar("HeadersT")
PropertiesT = TypeVar("PropertiesT")


class Envelope(Exact, Generic[HeadersT, PropertiesT]):
    """A message as kombu writes it to Redis. Compression, which kombu would undo before anything else, has no place."""

    body: str
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    content_type: Literal["application/json"] = Field(alias="content-type")
    headers: HeadersT
    properties: PropertiesT


class TaskHeaders(Exact):
    """The headers that `signature` sends. A retry after a lost process also has `retries`, an `eta` and other texts."""

    lang: Literal["py"]
    task: Literal["worker.tasks.train"]
    id: TaskId
    root_id: TaskId
    parent_id: None
    shadow: None
    eta: Annotated[str, AfterValidator(_in_time)] | None
    expires: None
    group: None
    group_index: None
    retries: int = Field(ge=0, le=MAX_ATTEMPTS)
    timelimit: tuple[None, None]
    argsrepr: Line
    kwargsrepr: Line
    origin: Name
    ignore_result: Literal[False]
    replaced_task_nesting: Literal[0]
    stamped_headers: None
    stamps: dict[None, None]
    #: Kombu's mark on a message that a worker took and did not finish.
    redelivered: Literal[True] = True

    @model_validator(mode="after")
    def _only_retries_are_scheduled(self) -> Self:
        if self.eta is not None and not self.retries:
            raise ValueError("eta is set and this is no retry")
        return self


class _DeliveryInfo(Exact):
    exchange: Literal[""]
    routing_key: Literal["seedsweep"]
    redelivered: Literal[True] = True


class TaskProperties(Exact):
    """The properties that kombu adds."""

    correlation_id: TaskId
    reply_to: Uuid
    argsrepr: Line = ""
    kwargsrepr: Line = ""
    origin: Name = "-"
    delivery_mode: Literal[2]
    delivery_info: _DeliveryInfo
    priority: Literal[0]
    body_encoding: Literal["base64"]
    delivery_tag: Uuid


class _Arguments(Exact):
    #: `accept` reads it: an invalid job fails with its reason, where its sender finds it.
    job: Any


class _Embedded(Exact):
    callbacks: None
    errbacks: None
    chain: None
    chord: None


TaskEnvelope = Envelope[TaskHeaders, TaskProperties]
TaskBody = tuple[tuple[()], _Arguments, _Embedded]
