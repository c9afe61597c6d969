"""The gate validates every message that this process receives from Redis, and logs and drops the invalid ones.

Workers, operators' commands and Flower read lists (jobs, replies to commands) and channels (commands, events) to which
other clients can write. Kombu and Celery act on a message before they validate it: a single byte on a channel would end
every worker of the cluster (`docs/upstream.md`). The gate therefore checks the length of a message, and then its JSON
against the models in `worker.messages` and `worker.gate.broadcasts`, which describe exactly the messages that our own
processes send. Kombu receives only the validated fields.

The gate is a kombu transport, so that every connection of the app uses it. It overrides private methods of kombu;
`tests/integration/test_hostile_messages.py` fails if they change.
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
from kombu.connection import Connection, ConnectionPool, PooledConnection
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.json import dumps
from pydantic import TypeAdapter, ValidationError

from worker.gate import broadcasts
from worker.gate.broadcasts import first_problem
from worker.messages import (
    CONTROL,
    EVENTS,
    MAX_HELD_BYTES,
    MAX_TASK_BYTES,
    QUEUE,
    REPLIES,
    Envelope,
    TaskBody,
    TaskEnvelope,
)
from worker.redis.bounded import CHUNK, read_fields, read_hash
from worker.redis.clock import ServerClock
from worker.text import one_line

logger = get_logger(__name__)

#: Seconds before the next attempt to connect, after a new connection proved unusable.
CONNECT_PAUSE = 1.0
#: The number of held messages whose leases are checked each time.
SOME_HELD = 16
#: How many times as many more are checked, if there is something to repair.
MOST_PASSES = 16


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


_TASKS = Route(MAX_TASK_BYTES, TaskEnvelope, TypeAdapter(TaskBody))
_COMMANDS = Route(broadcasts.MAX_COMMAND_BYTES, broadcasts.CommandEnvelope, TypeAdapter(broadcasts.Command))
_REPLIES = Route(broadcasts.MAX_REPLY_BYTES, broadcasts.ReplyEnvelope, TypeAdapter(broadcasts.Reply))
_WORKER_EVENTS = Route(broadcasts.MAX_COMMAND_BYTES, broadcasts.EventEnvelope, TypeAdapter(broadcasts.WorkerEvent))
_TASK_EVENTS = Route(
    broadcasts.MAX_EVENT_BYTES,
    broadcasts.EventEnvelope,
    TypeAdapter(broadcasts.TaskEvent | list[broadcasts.TaskEvent]),
)
#: A message that a worker holds, as kombu stores it: (message, exchange, queue).
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
    raise ValueError("no messages are allowed here")


def admitted(source: str, raw: bytes) -> bytes | None:
    """Return a message with its validated fields alone, or log why it is invalid and return None.

    Args:
        source: The list from which it was read, or `exchange/routing_key` of a published message.
        raw: The message as Redis delivered it.
    """
    try:
        return _route(source).read(raw)
    except ValidationError as error:
        reason = first_problem(error)
    except Exception as error:
        # No error may leave the gate, because it would end the worker.
        reason = one_line(f"{type(error).__name__}: {error}")[:300]
    logger.error("Dropped a message of %d bytes in %s: %s", len(raw), one_line(source)[:300], reason)
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

        Workers block with BRPOP. Kombu takes messages this way where somebody asks for one without waiting.
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


class GuardedQoS(kombu_redis.QoS):
    """The messages that workers hold, with leases by Redis's clock. Only valid ones are redelivered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._clock = ServerClock()

    def append(self, message: Any, delivery_tag: Any) -> None:
        """Record a message that this process has taken; its lease begins now, by Redis's clock."""
        if not self._clock.measured:
            self._measure()
        place = message.delivery_info
        held = dumps([message._raw, place["exchange"], place["routing_key"]])  # type: ignore[no-untyped-call]
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: self._clock.now()})
            pipe.hset(self.unacked_key, delivery_tag, held)
            pipe.execute()
        # Kombu's own method for Redis would record the time of this host.
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Return the messages whose lease has ended, by Redis's clock, to the queue."""
        self._measure()
        with self.channel.conn_or_acquire() as client:
            # What few messages need, others can make necessary for thousands: a few are looked at, more if it helps.
            for repair in (self._begin_leases, self._drop_invalid):
                for most in (SOME_HELD, *[CHUNK] * MOST_PASSES):
                    if not repair(client, most):
                        break
        super().restore_visible(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _begin_leases(self, client: redis.Redis, most: int) -> bool:
        """Let leases begin now of messages that have none, or one that begins in the future; return whether there were.

        A lease before the epoch, which kombu passes over, becomes one that has ended. No worker leaves such a message,
        and nobody else would ever return it to the queue; a sweep would wait for its job for ever. The messages are
        taken at random, `most` at a time.
        """
        held = read_hash(client, self.unacked_key, MAX_HELD_BYTES, most)
        tags = [tag for tag in held if tag]
        if not tags:
            return False
        now = self._clock.now()
        # LT and GT: leases that began in between stay. CH: usually, nothing changes.
        begun = client.zadd(self.unacked_index_key, dict.fromkeys(tags, now), lt=True, ch=True)
        ended = client.zadd(self.unacked_index_key, dict.fromkeys(tags, 0.0), gt=True, xx=True, ch=True)
        if begun:
            # A message that was acknowledged since it was read must not leave a lease behind.
            still = read_fields(client, self.unacked_key, tags, MAX_HELD_BYTES)
            # The answer ends early after many large values.
            gone = [tag for tag, value in zip(tags, still, strict=False) if value is None]
            if gone:
                client.zrem(self.unacked_index_key, *gone)
        return bool(begun or ended)

    def _drop_invalid(self, client: redis.Redis, most: int) -> bool:
        """Remove invalid messages whose lease has ended, and leases without a message; return whether there were some.

        Kombu takes ten at a time, the latest ones first. Behind thousands of them, a job would wait for hours.
        """
        lease: float = self.channel.visibility_timeout
        index = self.unacked_index_key
        latest = self._clock.now() - lease
        tags: Any = client.zrange(index, latest, "-inf", desc=True, byscore=True, offset=0, num=most)
        held = read_fields(client, self.unacked_key, tags, MAX_HELD_BYTES) if tags else []
        invalid = [tag for tag, value in zip(tags, held, strict=False) if value is None or not _is_task(value)]
        if not invalid:
            return False
        logger.error(
            "Dropped %d invalid held messages, the first one with the delivery tag %s",
            len(invalid), one_line(repr(invalid[0]))[:300],
        )  # fmt: skip
        with client.pipeline() as pipeline:
            pipeline.zrem(index, *invalid)
            pipeline.hdel(self.unacked_key, *invalid)
            pipeline.execute()
        return True

    @property
    def visibility_timeout(self) -> float:
        """The seconds that kombu subtracts from this host's time to get when leases that end now began."""
        lease: float = self.channel.visibility_timeout
        return lease + time.time() - self._clock.now()

    def _measure(self) -> None:
        with self.channel.conn_or_acquire() as client:
            self._clock.measure(client)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Return a message to its queue; remove an invalid one, which would block the redelivery of the others."""
        with self.channel.conn_or_acquire(client) as connected:
            held = read_fields(connected, self.unacked_key, [tag], MAX_HELD_BYTES)[0]
        if held is not None and not _is_task(held):
            logger.error("Dropped an invalid held message with the delivery tag %s", one_line(repr(tag))[:300])
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

    def _lookup(self, exchange: Any, routing_key: Any, default: Any = None) -> Any:
        """Return the queues to which a message goes; of a reply, the one of the client that asked, if it still waits.

        For a reply, kombu would read all queues that are bound to the exchange. Any client can bind as many as it
        likes, and an invalid binding would keep all workers from replying.
        """
        if exchange != REPLIES:
            return super()._lookup(exchange, routing_key, default)  # type: ignore[no-untyped-call]
        queue = f"{routing_key}.{REPLIES}"
        with self.conn_or_acquire() as client:
            is_bound = client.sismember(self.keyprefix_queue % exchange, self.sep.join((routing_key, "", queue)))
        return [queue] if is_bound else []


class GuardedTransport(kombu_redis.Transport):
    """Kombu's transport for Redis behind the gate."""

    Channel = GuardedChannel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Register a new connection with the worker's event loop; close the connection if that fails.

        Registering takes a lock in Redis, to search for messages whose lease has expired, and fails while Redis refuses
        writes. Celery then drops the connection without closing it and reconnects at once: two sockets per attempt, six
        attempts per second, until the process has no file descriptors left (`docs/upstream.md`).
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
