"""The gate: every message that reaches this process from Redis passes here, or is dropped with a line in the log.

Workers, operators' commands and Flower read lists (jobs, answers to commands) and channels (commands, events) that
others can write to. Kombu and Celery act on a message in many places before they know that it is one; a byte in a
channel would end every worker of the cluster. So nothing of a message is looked at before it is known to be exactly
what our own processes send: first its length, then its JSON, against the models in `worker.messages` and
`worker.steps.broadcasts`. Kombu then gets the message as it was read here, and nothing else that was in it.

The gate is a transport for kombu, so that no connection of the app is without it. It relies on some of kombu's inner
methods; `tests/integration/test_hostile_messages.py` fails if they move.
"""

from __future__ import annotations

import base64
import contextlib
import time
from dataclasses import dataclass
from typing import Any

import redis
from celery.app.amqp import AMQP
from celery.utils.log import get_logger
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from pydantic import TypeAdapter, ValidationError

from worker.messages import CONTROL, EVENTS, MAX_TASK_BYTES, QUEUE, REPLIES, Envelope, TaskBody, TaskEnvelope
from worker.steps import broadcasts
from worker.steps.broadcasts import first_problem
from worker.text import one_line

logger = get_logger(__name__)

#: Seconds before the next try, when a new connection could not be used.
CONNECT_PAUSE = 1.0


@dataclass(frozen=True)
class Route:
    """What may come from one list or channel.

    Args:
        limit: The most bytes that a message may take.
        envelope: The model of the message.
        body: The model of its body.
    """

    limit: int
    envelope: type[Envelope[Any, Any]]
    body: TypeAdapter[Any]

    def read(self, raw: bytes) -> bytes:
        """Return a message as it was understood.

        Raises:
            ValueError: it is anything but what we send.
        """
        if len(raw) > self.limit:
            raise ValueError(f"longer than {self.limit} bytes")
        envelope = self.envelope.model_validate_json(raw)
        body = self.body.validate_json(base64.b64decode(envelope.body, validate=True))
        encoded = base64.b64encode(self.body.dump_json(body, exclude_unset=True)).decode()
        read = envelope.model_copy(update={"body": encoded})
        return read.model_dump_json(by_alias=True, exclude_unset=True).encode()


_TASKS = Route(MAX_TASK_BYTES, TaskEnvelope, TypeAdapter(TaskBody))
_COMMANDS = Route(broadcasts.MAX_COMMAND_BYTES, broadcasts.CommandEnvelope, TypeAdapter(broadcasts.Command))
_REPLIES = Route(broadcasts.MAX_REPLY_BYTES, broadcasts.ReplyEnvelope, TypeAdapter(broadcasts.Reply))
_WORKER_EVENTS = Route(broadcasts.MAX_COMMAND_BYTES, broadcasts.EventEnvelope, TypeAdapter(broadcasts.WorkerEvent))
_TASK_EVENTS = Route(
    broadcasts.MAX_EVENT_BYTES,
    broadcasts.EventEnvelope,
    TypeAdapter(broadcasts.TaskEvent | list[broadcasts.TaskEvent]),
)
#: A message that a worker holds: the message, its exchange, its queue.
_HELD: TypeAdapter[Any] = TypeAdapter(tuple[TaskEnvelope, str, str])


def _route(source: str) -> Route:
    if source == QUEUE:
        return _TASKS
    if source == CONTROL:
        return _COMMANDS
    if source.endswith(f".{REPLIES}"):
        return _REPLIES
    if source.startswith(f"{EVENTS}/worker."):
        return _WORKER_EVENTS
    if source.startswith(f"{EVENTS}/task."):
        return _TASK_EVENTS
    raise ValueError("no messages are expected there")


def admitted(source: str, raw: bytes) -> bytes | None:
    """Return a message as it was understood, or None after saying in the log why it is dropped.

    Args:
        source: The list that it lay in, or the exchange and routing key that it was published with.
        raw: The bytes.
    """
    try:
        return _route(source).read(raw)
    except ValidationError as error:
        reason = first_problem(error)
    except Exception as error:
        # Whatever it is: raised from here, it would end the worker.
        reason = one_line(f"{type(error).__name__}: {error}")[:300]
    logger.error("Dropped a message of %d bytes in %s: %s", len(raw), one_line(source)[:300], reason)
    return None


class GuardedClient(redis.Redis):
    """A client of which kombu gets admitted messages only. A dropped one looks as if none had come."""

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Return the reply to a command."""
        reply = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name != "BRPOP" or not reply:
            return reply
        name, raw = reply
        # Kombu has a list for each priority, whose name ends with a separator and the priority.
        source = name.decode(errors="replace").rsplit(GuardedChannel.sep, 1)[0]
        read = admitted(source, raw)
        return None if read is None else (name, read)

    def pubsub(self, **options: Any) -> GuardedPubSub:
        """Return a subscriber of which kombu gets admitted messages only."""
        return GuardedPubSub(self.connection_pool, **options)


class GuardedPubSub(redis.client.PubSub):
    """A subscriber of which kombu gets admitted messages only."""

    def parse_response(self, block: bool = True, timeout: float = 0) -> Any:
        """Return the next reply: a message, or an answer to a subscription."""
        reply = super().parse_response(block, timeout)  # type: ignore[no-untyped-call]
        if not isinstance(reply, list) or not reply[0].endswith(b"message"):
            return reply
        *rest, channel, raw = reply
        # Kombu's names begin with the number of the database: `/0.exchange/routing_key`.
        source = channel.decode(errors="replace").partition(".")[2]
        read = admitted(source, raw)
        return None if read is None else [*rest, channel, read]


class GuardedQoS(kombu_redis.QoS):
    """The messages that workers hold, of which those are given back that were admitted once."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put a message back into its queue; remove what is no message, which would keep others waiting."""
        with self.channel.conn_or_acquire(client) as connected:
            held = connected.hget(self.unacked_key, tag)
        if held is not None and not _is_task(held):
            logger.error("Dropped what was held as %s and is no message", one_line(repr(tag))[:300])
            self._remove_from_indices(tag).execute()  # type: ignore[no-untyped-call]
        else:
            super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]


def _is_task(held: bytes) -> bool:
    try:
        _, exchange, queue = _HELD.validate_json(held)
    except (ValueError, RecursionError):
        return False
    return bool(exchange == "" and queue == QUEUE)


class GuardedChannel(kombu_redis.Channel):
    """A channel that reads through the gate."""

    QoS = GuardedQoS

    def _get_client(self) -> type[redis.Redis]:
        return GuardedClient


class GuardedTransport(kombu_redis.Transport):
    """Kombu's transport for Redis behind the gate."""

    Channel = GuardedChannel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have the worker's event loop watch a new connection; close one that cannot be used.

        Registering looks for messages whose lease has ended, under a lock, which a Redis that refuses writes does not
        grant. Celery then forgets the connection without closing it, and connects again at once: two sockets a try,
        six tries a second, until the process has no descriptors left (`docs/upstream.md`).
        """
        try:
            super().register_with_event_loop(connection, loop)  # type: ignore[no-untyped-call]
        except Exception:
            with contextlib.suppress(Exception):
                client: Any = self.client
                client.close()
            time.sleep(CONNECT_PAUSE)
            raise


class GuardedConnection(Connection):
    """A connection by the guarded transport, whatever the scheme of its URL."""

    def get_transport_cls(self) -> type[GuardedTransport]:
        """Return the transport."""
        return GuardedTransport


class GuardedAMQP(AMQP):
    """What makes the app's connections."""

    Connection = GuardedConnection
