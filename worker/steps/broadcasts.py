"""What workers, operators and Flower say to each other beside jobs: commands, their answers, and events.

Only what our own processes send is accepted; of Celery's commands, only those in `COMMANDS` are obeyed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from celery.app.control import Control
from celery.utils.log import get_logger
from kombu.pidbox import Mailbox, Node
from pydantic import BeforeValidator, Field, ValidationError

from worker.messages import Envelope, Exact, Line, Name, TaskId, Uuid
from worker.text import one_line

logger = get_logger(__name__)

#: The most that a command, an answer, or an event may take, in bytes.
MAX_COMMAND_BYTES = 65_536
MAX_REPLY_BYTES = 1 << 20
MAX_EVENT_BYTES = 1 << 20

_MAX_CLOCK = 2**62


def _clamped(clock: Any) -> Any:
    # Clamped and not rejected: whoever sent a large value once would otherwise make everybody's later ones too large.
    return min(clock, _MAX_CLOCK) if type(clock) is int else clock


#: Celery's logical clock, which orders events for display.
Clock = Annotated[int, BeforeValidator(_clamped), Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, le=1e11)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
#: Of tracebacks and results, which Flower escapes.
Text = Annotated[str, Field(max_length=100_000)]


# What kombu adds to broadcasts and answers.


class _DeliveryInfo(Exact):
    exchange: Name
    routing_key: Annotated[str, Field(pattern=r"^[!-~]{0,300}$")]


class _Properties(Exact):
    delivery_mode: Literal[1, 2]
    delivery_info: _DeliveryInfo
    priority: Literal[0]
    body_encoding: Literal["base64"]
    delivery_tag: Uuid


# Commands and answers.


class _CommandHeaders(Exact):
    clock: Clock
    expires: Seconds


class _ReplyTo(Exact):
    exchange: Literal["reply.seedsweep.pidbox"]
    routing_key: Uuid


class Command(Exact):
    """A broadcast command. `Commands` looks at the arguments, so that it can answer."""

    method: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    arguments: dict[str, Any]
    destination: list[Name] | None
    #: No patterns: a regular expression can take a worker's event loop for ever.
    pattern: None
    matcher: None
    ticket: Uuid | None = None
    reply_to: _ReplyTo | None = None


class _ReplyHeaders(Exact):
    ticket: Uuid
    clock: Clock


CommandEnvelope = Envelope[_CommandHeaders, _Properties]
ReplyEnvelope = Envelope[_ReplyHeaders, _Properties]
#: An answer to whoever asked: worker's name -> anything.
Reply = dict[Name, Any]


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
    """A worker's sign of life, to other workers and to Flower. Elections, by which workers run tasks, have no place."""

    type: Literal["worker-online", "worker-heartbeat", "worker-offline"]
    freq: Annotated[float, Field(gt=0, le=86_400)]
    sw_ident: Line
    sw_ver: Line
    sw_sys: Line
    # Missing in an answer to the command `heartbeat`.
    active: Count = 0
    processed: Count = 0
    loadavg: list[Annotated[float, Field(ge=0, le=1e9)]] = Field(default=[], max_length=3)


class TaskEvent(_Event):
    """An event of a job, for Flower."""

    type: Annotated[str, Field(pattern=r"^task-[a-z_]{1,20}$")]
    uuid: TaskId
    name: Line = ""
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


# Commands that are obeyed.


class _Nothing(Exact):
    pass


class _Queue(Exact):
    queue: Literal["seedsweep"]
    # As `app.control.add_consumer` sends them.
    exchange: None = None
    exchange_type: Literal["direct"] = "direct"
    routing_key: None = None


class _Processes(Exact):
    n: int = Field(default=1, ge=1, le=1000)


class _Hello(Exact):
    from_node: Name
    #: Read and left out: a job is cancelled in Redis, where everybody finds it, and not by what workers remember.
    revoked: Any = Field(default=None, exclude=True)


class _Active(Exact):
    safe: bool | None = None


class _Conf(Exact):
    with_defaults: bool = False


class _Registered(Exact):
    taskinfoitems: list[Line] = Field(default=[], max_length=20)


class _Query(Exact):
    ids: list[TaskId] = Field(max_length=1000)


class _Autoscale(Exact):
    max: int = Field(ge=1, le=1000)
    min: int = Field(default=1, ge=1, le=1000)


#: Command -> the arguments that it may have.
COMMANDS: dict[str, type[Exact]] = {
    "active": _Active,
    "active_queues": _Nothing,
    "add_consumer": _Queue,
    "autoscale": _Autoscale,
    "cancel_consumer": _Queue,
    "clock": _Nothing,
    "conf": _Conf,
    "disable_events": _Nothing,
    "enable_events": _Nothing,
    "heartbeat": _Nothing,
    "hello": _Hello,
    "ping": _Nothing,
    "pool_grow": _Processes,
    "pool_shrink": _Processes,
    "query_task": _Query,
    "registered": _Registered,
    "report": _Nothing,
    "reserved": _Nothing,
    "revoked": _Nothing,
    "scheduled": _Nothing,
    "shutdown": _Nothing,
    "stats": _Nothing,
}

_CANCEL = "cancel jobs with `orchestrator cancel`: workers would remember the job and never train it again"
#: Why some of Celery's commands are rejected, and what to do instead.
_INSTEAD = {
    "revoke": _CANCEL,
    "revoke_by_stamped_headers": _CANCEL,
    "terminate": _CANCEL,
    "rate_limit": "drain workers with `cancel_consumer seedsweep`",
    "time_limit": "cancel jobs that take too long with `orchestrator cancel`",
}


class Commands(Node):
    """A worker's mailbox that obeys `COMMANDS` alone, and answers every other command with a sentence."""

    def handle(self, method: str, arguments: dict[str, Any] | None = None) -> Any:
        """Carry out a command, or return why it is rejected."""
        model = COMMANDS.get(method)
        if model is None:
            return _rejected(method, _INSTEAD.get(method, f"the commands are {', '.join(COMMANDS)}"))
        try:
            given = model.model_validate(arguments or {})
        except ValidationError as error:
            return _rejected(method, f"invalid arguments: {first_problem(error)}")
        if isinstance(given, _Processes) and method == "pool_shrink":
            state: Any = self.state
            processes = state.consumer.pool.num_processes
            if given.n >= processes:
                return _rejected(method, f"it has {processes} of them, and keeps one at least")
        return super().handle(method, given.model_dump(exclude_unset=True))  # type: ignore[no-untyped-call]


class _Mailbox(Mailbox):
    node_cls = Commands


class GuardedControl(Control):
    """Celery's remote control with `Commands` at the workers' end."""

    Mailbox = _Mailbox


def first_problem(error: ValidationError) -> str:
    """Return the first thing that is wrong, in one printable line without the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])
    return one_line(f"{where}: {first['msg']}" if where else first["msg"])[:300]


def _rejected(method: str, why: str) -> dict[str, str]:
    sentence = f"{method} is rejected: {why}"
    logger.warning(sentence)
    return {"error": sentence}
