"""The gate validates every message that this process receives from Redis, and logs and drops the invalid ones.

Workers, operators' commands and Flower read lists (jobs, replies to commands) and channels (commands, events) to which
other clients can write. Kombu and Celery act on a message before they validate it: a single byte on a channel would end
every worker of the cluster (`docs/explanation/upstream.md`). The gate therefore checks the length of a message, and
then its JSON against the models in `worker.messages` and `worker.gate.broadcasts`, which describe exactly the messages
that our own processes send. Kombu receives only the validated fields.

The gate is a kombu transport, so that every connection of the app uses it. It overrides private methods of kombu;
`tests/integration/test_hostile_messages.py` fails if they change.
"""

from __future__ import annotations

import base64
import contextlib
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import redis
from celery.app.amqp import AMQP
from celery.utils.log import get_logger
from kombu.connection import Connection, ConnectionPool, PooledConnection
from kombu.transport import redis as kombu_redis
from pydantic import TypeAdapter, ValidationError

from nn.options.describe import first_fault
from worker.gate import broadcasts
from worker.gate.held import GuardedQoS
from worker.messages import CONTROL, EVENTS, MAX_TASK_BYTES, QUEUE, REPLIES, Envelope, TaskBody, TaskEnvelope
from worker.text import one_line, reason

logger = get_logger(__name__)

#: Seconds before the next attempt to connect, after a new connection proved unusable.
CONNECT_PAUSE = 1.0


@dataclass(frozen=True)
class Route:
    """The messages that are valid on one list or channel.

    Args:
        limit: The longest message, in bytes.
        envelope: The model of the message.
        body: The model of its body.
    """

    limit: int
    envelope: type[Envelope[Any, Any]]
    body: TypeAdapter[Any]

    def read(self, raw: bytes) -> bytes:
        """Return the validated fields of a message, encoded again.

        Raises:
            ValueError: the message is invalid.
        """
        if len(raw) > self.limit:
            raise ValueError(f"longer than {self.limit} bytes")
        envelope = self.envelope.model_validate_json(raw)
        body = self.body.validate_json(base64.b64decode(envelope.body, validate=True))
        encoded = base64.b64encode(self.body.dump_json(body, exclude_unset=True)).decode()
        read = envelope.model_copy(update={"body": encoded})
        return read.model_dump_json(by_alias=True, exclude_unset=True).encode()


#: The routes by the shell pattern of their sources, which do not overlap.
_ROUTES = {
    QUEUE: Route(MAX_TASK_BYTES, TaskEnvelope, TypeAdapter(TaskBody)),
    CONTROL: Route(broadcasts.MAX_COMMAND_BYTES, broadcasts.CommandEnvelope, TypeAdapter(broadcasts.Command)),
    f"*.{REPLIES}": Route(broadcasts.MAX_REPLY_BYTES, broadcasts.ReplyEnvelope, TypeAdapter(broadcasts.Reply)),
    f"{EVENTS}/worker.*": Route(
        broadcasts.MAX_COMMAND_BYTES, broadcasts.EventEnvelope, TypeAdapter(broadcasts.WorkerEvent)
    ),
    f"{EVENTS}/task.*": Route(
        broadcasts.MAX_EVENT_BYTES,
        broadcasts.EventEnvelope,
        TypeAdapter(broadcasts.TaskEvent | list[broadcasts.TaskEvent]),
    ),
}


def admitted(source: str, raw: bytes) -> bytes | None:
    """Return a message with only its validated fields; if it is invalid, log why and return None.

    Args:
        source: The list from which it was read, or `exchange/routing_key` of a published message.
        raw: The message as Redis delivered it.
    """
    route = next((route for pattern, route in _ROUTES.items() if fnmatchcase(source, pattern)), None)
    try:
        if route is None:
            raise ValueError("no messages are allowed here")
        return route.read(raw)
    except ValidationError as error:
        why = one_line(f"it is invalid{first_fault(error)}")
    except Exception as error:
        # No error may leave the gate, because it would end the worker.
        why = reason(error)
    logger.error("Dropped a message of %d bytes in %s: %s", len(raw), one_line(source)[:300], why)
    return None


class GuardedClient(redis.Redis):
    """A client that returns only valid messages. To kombu, a dropped message looks like a timeout."""

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Return the reply to a command, None for a dropped message."""
        reply = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name != "BRPOP" or not reply:
            return reply
        name, raw = reply
        read = admitted(_queue_of(name.decode(errors="replace")), raw)
        return None if read is None else (name, read)

    def rpop(self, name: Any, count: Any = None) -> Any:
        """Return the next valid message of a list; None if there is none.

        Workers block with BRPOP. Kombu uses RPOP to take a message without waiting.
        """
        if count is not None:
            raise NotImplementedError("the gate takes one message at a time")
        while True:
            raw: Any = super().rpop(name)
            read = admitted(_queue_of(name), raw) if raw else None
            if read is not None or not raw:
                return read

    def pubsub(self, **options: Any) -> GuardedPubSub:
        """Return a subscriber behind the gate."""
        return GuardedPubSub(self.connection_pool, **options)


def _queue_of(name: str) -> str:
    # Kombu appends a separator and the priority to the name of a list.
    return name.rsplit(GuardedChannel.sep, 1)[0]


class GuardedPubSub(redis.client.PubSub):
    """A subscriber that returns only valid messages."""

    def parse_response(self, block: bool = True, timeout: float = 0) -> Any:
        """Return the next reply: a message, or the confirmation of a subscription. None for a dropped message."""
        reply = super().parse_response(block, timeout)  # type: ignore[no-untyped-call]
        if not isinstance(reply, list) or not reply[0].endswith(b"message"):
            return reply
        *rest, channel, raw = reply
        # Kombu's channels are named `/<database>.<exchange>/<routing key>`.
        source = channel.decode(errors="replace").partition(".")[2]
        read = admitted(source, raw)
        return None if read is None else [*rest, channel, read]


class GuardedChannel(kombu_redis.Channel):
    """A channel that reads through the gate."""

    QoS = GuardedQoS

    def _get_client(self) -> type[redis.Redis]:
        return GuardedClient

    def _lookup(self, exchange: Any, routing_key: Any, default: Any = None) -> Any:
        """Return the queues to which a message goes; a reply goes to the client that asked, if it still waits.

        For a reply, kombu would read all queues that are bound to the exchange. Any client can bind as many as it
        likes, and an invalid binding would keep all workers from replying.
        """
        if exchange != REPLIES:
            return super()._lookup(exchange, routing_key, default)  # type: ignore[no-untyped-call]
        queue = f"{routing_key}.{REPLIES}"
        with self.conn_or_acquire() as client:
            is_bound = client.sismember(self.keyprefix_queue % exchange, self.sep.join((routing_key, "", queue)))
        return [queue] if is_bound else []

    def sweep_bindings(self, limit: int = 100) -> Any:
        """Remove expired routes; if another client's entry makes this fail, all: those in use enter the list again."""
        try:
            return super().sweep_bindings(limit)  # type: ignore[no-untyped-call]
        except redis.ResponseError:
            with self.conn_or_acquire() as client:
                client.zremrangebyscore(self.keyprefix_binding_deadlines, "-inf", "+inf")
            return 0


class GuardedTransport(kombu_redis.Transport):
    """Kombu's transport for Redis behind the gate."""

    Channel = GuardedChannel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Register a new connection with the worker's event loop; close the connection if that fails.

        Registering takes a lock in Redis, to search for messages whose lease has expired, and fails while Redis refuses
        writes. Celery then drops the connection without closing it and reconnects at once: two sockets per attempt, six
        attempts per second, until the process has no file descriptors left (`docs/explanation/upstream.md`).
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
    """A connection that uses the guarded transport for every URL scheme, as do the connections of its pool."""

    def get_transport_cls(self) -> type[GuardedTransport]:
        """Return the transport."""
        return GuardedTransport

    def Pool(self, limit: Any = None, **kwargs: Any) -> _GuardedPool:  # noqa: N802 - kombu's name
        """Return a pool of connections."""
        return _GuardedPool(self, limit, **kwargs)  # type: ignore[no-untyped-call]


class _PooledConnection(PooledConnection, GuardedConnection):
    """A connection of a pool, over which an operator's command reads its replies."""


class _GuardedPool(ConnectionPool):
    def new(self) -> _PooledConnection:
        return _PooledConnection(self, **dict(self.connection._info(resolve=False)))  # type: ignore[no-untyped-call]


class GuardedAMQP(AMQP):
    """Celery's AMQP class, whose connections pass the gate."""

    Connection = GuardedConnection
