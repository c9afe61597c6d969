"""Models of the messages that are not jobs: remote-control commands, their replies, and events.

The models accept only messages that our own processes send. Workers execute only the commands in `COMMANDS`.
"""

from typing import Annotated, Any, Literal

from celery.app.control import Control
from celery.utils.log import get_logger
from kombu.pidbox import Mailbox, Node
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, create_model

from nn.errors import printable
from nn.options.describe import first_fault
from worker.messages import Envelope, Exact, Line, Name, TaskId, Uuid
from worker.text import one_line

logger = get_logger(__name__)

#: The longest command, reply and event that are accepted, in bytes.
MAX_COMMAND_BYTES = 65_536
MAX_REPLY_BYTES = 1 << 20
MAX_EVENT_BYTES = 1 << 20

#: Most characters of an event's text that Flower receives.
MAX_SHOWN = 2000

# Processes adopt the largest clock that they receive. Rejecting a huge value would therefore reject every later message
# of a process that had adopted it.
#: Celery's logical clock, which orders events for display.
Clock = Annotated[int, BeforeValidator(lambda clock: min(clock, 2**62) if type(clock) is int else clock), Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, le=1e11)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _clipped(text: Any) -> Any:
    # ASCII, because one other character makes a Python string take up to four times the memory.
    if not isinstance(text, str):
        return text
    return text[-MAX_SHOWN:].encode("ascii", "backslashreplace").decode()[-MAX_SHOWN:]


#: The end of a traceback or a result. Flower keeps those of its last 20,000 tasks, and escapes them.
Text = Annotated[str, BeforeValidator(_clipped)]


# The properties that kombu adds to broadcasts and replies.


class _DeliveryInfo(Exact):
    exchange: Name
    routing_key: Annotated[str, Field(pattern=r"^[!-~]{0,300}$")]


class _Properties(Exact):
    delivery_mode: Literal[1, 2]
    delivery_info: _DeliveryInfo
    priority: Literal[0]
    body_encoding: Literal["base64"]
    delivery_tag: Uuid


# Commands and replies.


class _CommandHeaders(Exact):
    clock: Clock
    expires: Seconds


class _ReplyTo(Exact):
    exchange: Literal["reply.seedsweep.pidbox"]
    routing_key: Uuid


class Command(Exact):
    """A broadcast command. `Commands` validates the arguments, so that it can reply with an error."""

    method: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    arguments: dict[str, Any]
    destination: list[Name] | None
    #: Patterns are not allowed: a regular expression can block a worker's event loop forever.
    pattern: None
    matcher: None
    ticket: Uuid | None = None
    reply_to: _ReplyTo | None = None


class _ReplyHeaders(Exact):
    ticket: Uuid
    clock: Clock


CommandEnvelope = Envelope[_CommandHeaders, _Properties]
ReplyEnvelope = Envelope[_ReplyHeaders, _Properties]


def _printable(value: Any) -> Any:
    """Escape the texts in a JSON value, because an operator's command prints them unchanged."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {printable(name): _printable(item) for name, item in value.items()}
    return value


#: A reply: the worker's name -> the value that the command returned.
Reply = dict[Name, Annotated[Any, AfterValidator(_printable)]]


# Events.


class _EventHeaders(Exact):
    hostname: Name


class _Event(Exact):
    hostname: Name
    utcoffset: Annotated[float, Field(ge=-24, le=24)]
    pid: Count
    clock: Clock
    timestamp: Seconds


class WorkerEvent(_Event):
    """A worker's heartbeat, for other workers and Flower. Elections are not allowed: they can run tasks on workers."""

    type: Literal["worker-online", "worker-heartbeat", "worker-offline"]
    freq: Annotated[float, Field(gt=0, le=86_400)]
    sw_ident: Line
    sw_ver: Line
    sw_sys: Line
    # Absent from the event that the command `heartbeat` sends.
    active: Count = 0
    processed: Count = 0
    loadavg: list[Annotated[float, Field(ge=0, le=1e9)]] = Field(default=[], max_length=3)


class TaskEvent(_Event):
    """An event of a task, for Flower."""

    # Flower counts the events of each type and name without a limit. The last two are those of `worker.records.report`.
    type: Literal[
        "task-received", "task-started", "task-succeeded", "task-failed", "task-retried", "task-rejected",
        "task-revoked", "task-cancelled", "task-progress", "task-given_back",
    ]  # fmt: skip
    uuid: TaskId
    name: Literal["", "worker.tasks.train"] = ""
    args: Line | None = None
    kwargs: Line | None = None
    root_id: TaskId | None = None
    parent_id: None = None
    retries: Count = 0
    eta: Line | None = None
    expires: None = None
    result: Text = ""
    runtime: Seconds | None = None
    exception: Text = ""
    traceback: Text = ""
    terminated: bool = False
    signum: int | Line | None = None
    expired: bool | None = None
    requeue: bool = False


EventEnvelope = Envelope[_EventHeaders, _Properties]


# Arguments of the allowed commands.


# `app.control.add_consumer` sends more than the name of the queue.
_QUEUE = {
    "queue": Literal["seedsweep"],
    "exchange": (None, None),
    "exchange_type": (Literal["direct"], "direct"),
    "routing_key": (None, None),
}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "active": {"safe": (bool | None, None)},
    "add_consumer": _QUEUE,
    "cancel_consumer": _QUEUE,
    "conf": {"with_defaults": (bool, False)},
    # The revoked jobs are ignored: a job is cancelled in Redis, which every worker reads, and not in their memory.
    "hello": {"from_node": Name, "revoked": (Any, Field(default=None, exclude=True))},
    "query_task": {"ids": Annotated[list[TaskId], Field(max_length=1000)]},
    "registered": {"taskinfoitems": (list[Line], Field(default=[], max_length=20))},
    **{name: {} for name in (
        "active_queues", "clock", "disable_events", "enable_events", "heartbeat", "ping", "report",
        "reserved", "revoked", "scheduled", "shutdown", "stats",
    )},
}  # fmt: skip
#: The allowed commands, each with the model of its arguments.
COMMANDS = {name: create_model(name, __base__=Exact, **fields) for name, fields in _ARGUMENTS.items()}

#: A password that may only see and stop workers must not change them.
_RESTART = "start the worker again with another --concurrency"
_CANCEL = "cancel jobs with `orchestrator cancel`: workers would remember a revoked job and never train it again"
#: What to do instead of a rejected command.
_INSTEAD = {
    "revoke": _CANCEL,
    "revoke_by_stamped_headers": _CANCEL,
    "terminate": _CANCEL,
    "pool_grow": _RESTART,
    "pool_shrink": _RESTART,
    "autoscale": _RESTART,
    "rate_limit": "drain workers with `cancel_consumer seedsweep`",
    "time_limit": "set SEEDSWEEP_TIME_LIMIT on the workers",
}


class Commands(Node):
    """A worker's mailbox that executes only `COMMANDS`, and replies to any other command with an error message."""

    def handle(self, method: str, arguments: dict[str, Any] | None = None) -> Any:
        """Execute a command, or return why it is rejected."""
        model = COMMANDS.get(method)
        if model is None:
            return _rejected(method, _INSTEAD.get(method, f"the commands are {', '.join(sorted(COMMANDS))}"))
        try:
            valid = model.model_validate(arguments or {})
        except ValidationError as error:
            return _rejected(method, one_line(f"invalid arguments{first_fault(error)}"))
        return super().handle(method, valid.model_dump(exclude_unset=True))  # type: ignore[no-untyped-call]


class _Mailbox(Mailbox):
    node_cls = Commands


class GuardedControl(Control):
    """Celery's remote control, with `Commands` as the workers' mailbox."""

    Mailbox = _Mailbox


def _rejected(method: str, why: str) -> dict[str, str]:
    sentence = f"{method} is rejected: {why}"
    logger.warning(sentence)
    return {"error": sentence}
