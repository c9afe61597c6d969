"""The messages of jobs: the names of queues and exchanges, how a message is made, and how it is validated."""

from collections.abc import Collection
from typing import Annotated, Any, Generic, Literal, TypeVar

from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel, Field

from nn.errors import InvalidInputError
from worker.errors import JobRefusedError, TrainerUnusableError
from worker.job import MAX_ATTEMPTS, TASK_ID, Job, Needs, is_task_id, key_of, needs_of, task_id
from worker.text import one_line
from worker.trainers.registry import names

#: The name of the Celery task, which every message carries.
TRAIN = "worker.tasks.train"
QUEUE = "seedsweep"
#: The hash of the messages that workers hold and have not acknowledged.
UNACKED = "seedsweep:unacked"
#: The sorted set of the times at which these were delivered or their leases last renewed.
UNACKED_INDEX = f"{UNACKED}_index"
#: Remote control: commands are broadcast on the exchange `CONTROL`, replies go to `REPLIES`.
CONTROL_NAMESPACE = "seedsweep"
CONTROL = f"{CONTROL_NAMESPACE}.pidbox"
REPLIES = f"reply.{CONTROL}"
#: The exchange of Celery's events.
EVENTS = "seedsweep.ev"

#: The longest description of a job that a message carries for Flower, in characters.
MAX_DESCRIPTION = 1000
#: The longest message of a job that is accepted, in bytes. The longest valid one has about 3,000.
MAX_TASK_BYTES = 16_384
#: The longest such message as kombu stores it while a worker holds it: encoded again, with its exchange and queue.
MAX_HELD_BYTES = 2 * MAX_TASK_BYTES
#: Longest delivery tag that is accepted, in bytes: ours are UUIDs.
MAX_TAG_BYTES = 300
#: Most values in such a message: more than ours have.
MAX_TASK_VALUES = 1000


def signature(app: Celery, job: Job, *, label: str | None = None, varying: Collection[str] = ()) -> Signature:
    """Return the message that runs a job. `signature(app, job).apply_async()` queues it.

    Args:
        app: The app of the cluster (`worker.app.create_app`).
        job: What to train.
        label: The label of a verification task, which trains the job again and compares; None for the job's own task.
            The task id is `worker.job.task_id(job, label)`.
        varying: The options that vary in the job's sweep; Flower shows them.
    """
    # In characters that the model `Line` accepts.
    described = one_line(job.words(varying)).encode("ascii", "backslashreplace").decode()
    return app.tasks[TRAIN].signature(
        kwargs={"job": job.fields()},
        task_id=task_id(job, label),
        # Flower and the logs show these instead of the arguments.
        argsrepr="",
        kwargsrepr=described[:MAX_DESCRIPTION],
    )


def needed(task_id: str, job: Any) -> Needs:
    """Return what the job of an untrusted message needs, whether or not this worker has it.

    Raises:
        JobRefusedError: the job is malformed, or too large; or its trainer is not installed here, and it is not the
            job that the task id names.
    """
    try:
        needs = needs_of(job)
        if needs is None:
            return accept(task_id, job).needs
    except InvalidInputError as error:
        raise JobRefusedError(f"the message contains an invalid job: {error}") from None
    if needs.trainer not in names() and task_id.partition(".")[0] != key_of(job):
        raise JobRefusedError(f"the task id is {task_id[:80]!r}; the job's key is {key_of(job)}")
    return needs


def accept(task_id: str, job: Any) -> Job:
    """Validate the job of an untrusted message, whose trainer is installed.

    Raises:
        JobRefusedError: the job is malformed, too large, of another version, or not the job that the task id names.
    """
    try:
        parsed = Job.parse(job)
    except (InvalidInputError, TrainerUnusableError) as error:
        raise JobRefusedError(f"the message contains an invalid job: {error}") from None
    if not is_task_id(task_id) or not task_id.startswith(parsed.key):
        raise JobRefusedError(f"the task id is {task_id[:80]!r}; the job's key is {parsed.key}")
    return parsed


class Exact(BaseModel, extra="forbid", strict=True, frozen=True):
    """A model that rejects unknown fields and converts no types."""


TaskId = Annotated[str, Field(pattern=f"^{TASK_ID.pattern}$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
#: The name of a worker, a host or a process: printable ASCII without spaces.
Name = Annotated[str, Field(pattern=r"^[!-~]{1,300}$")]
Line = Annotated[str, Field(pattern=r"^[ -~]{0,1100}$")]

HeadersT = TypeVar("HeadersT")
PropertiesT = TypeVar("PropertiesT")


class Envelope(Exact, Generic[HeadersT, PropertiesT]):
    """A message as kombu writes it to Redis. Compressed messages are invalid: kombu would decompress them unchecked."""

    body: str
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    content_type: Literal["application/json"] = Field(alias="content-type")
    headers: HeadersT
    properties: PropertiesT


class TaskHeaders(Exact):
    """The headers that `signature` sends. A retry after a lost process has a count."""

    lang: Literal["py"]
    task: Literal["worker.tasks.train"]
    id: TaskId
    root_id: TaskId
    parent_id: None
    shadow: None
    eta: None
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
    #: Kombu's mark on a redelivered message.
    redelivered: Literal[True] = True


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
    #: Validated by `accept` and not by the gate, so that an invalid job fails with its reason stored as its result.
    job: Any


class _Embedded(Exact):
    callbacks: None
    errbacks: None
    chain: None
    chord: None


TaskEnvelope = Envelope[TaskHeaders, TaskProperties]
TaskBody = tuple[tuple[()], _Arguments, _Embedded]
