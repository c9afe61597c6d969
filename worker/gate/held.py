"""The messages that workers hold and have not acknowledged, their leases, and their return to the queue.

Other clients can write to the hash of these messages, and to the sorted set of their leases. The class overrides
private methods of kombu; `tests/integration/test_hostile_messages.py` and `test_lease.py` fail if they change.
"""

import math
import time
from typing import Any

import redis
from celery.utils.log import get_logger
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.json import dumps
from pydantic import TypeAdapter

from worker.messages import MAX_HELD_BYTES, MAX_TAG_BYTES, QUEUE, TaskEnvelope
from worker.redis.bounded import CHUNK, read_fields, read_hash
from worker.redis.clock import ServerClock
from worker.text import one_line

logger = get_logger(__name__)

#: The number of held messages whose leases are checked each time.
SOME_HELD = 16
#: Most further passes, of `CHUNK` messages each, while there is something to repair.
MOST_PASSES = 16
#: A message that a worker holds, as kombu stores it: (message, exchange, queue).
_HELD: TypeAdapter[Any] = TypeAdapter(tuple[TaskEnvelope, str, str])


class GuardedQoS(kombu_redis.QoS):
    """The messages that workers hold, with leases by Redis's clock. Only valid ones are redelivered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._clock = ServerClock()

    def append(self, message: Any, delivery_tag: Any) -> None:
        """Record a message that this process has taken; its lease begins now, by Redis's clock."""
        place = message.delivery_info
        held = dumps([message._raw, place["exchange"], place["routing_key"]])  # type: ignore[no-untyped-call]
        with self.channel.conn_or_acquire() as client, client.pipeline() as pipe:
            # Only the first one asks for the time: if this process died before the record, the message would be lost.
            pipe.zadd(self.unacked_index_key, {delivery_tag: self._clock.recent(client, math.inf)})
            pipe.hset(self.unacked_key, delivery_tag, held)
            pipe.execute()
        # Kombu's own method for Redis would record the time of this host.
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Return the messages whose lease has ended, by Redis's clock, to the queue."""
        with self.channel.conn_or_acquire() as client:
            self._clock.measure(client)
            # Kombu's lock of this search, which another client may have taken for ever.
            client.expire(self.unacked_mutex_key, self.unacked_mutex_expire, lt=True)
            # A few messages are checked, and more if that repaired any: an attacker may have written thousands.
            for repair in (self._begin_leases, self._drop_invalid):
                for most in (SOME_HELD, *[CHUNK] * MOST_PASSES):
                    if not repair(client, most):
                        break
        super().restore_visible(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _begin_leases(self, client: redis.Redis, most: int) -> bool:
        """Repair the leases of `most` random messages; return whether any needed it.

        A lease that is missing or in the future begins now. One before the epoch, which kombu ignores, is set to have
        ended. Workers leave no such leases, but without the repair, the message would never return to the queue, and a
        sweep would wait for its job forever.
        """
        tags = [tag for tag in read_hash(client, self.unacked_key, MAX_TAG_BYTES, most) if tag]
        if not tags:
            return False
        now = self._clock.now()
        # LT and GT keep leases that began in the meantime. CH returns the number of changes, usually 0.
        begun = client.zadd(self.unacked_index_key, dict.fromkeys(tags, now), lt=True, ch=True)
        ended = client.zadd(self.unacked_index_key, dict.fromkeys(tags, 0.0), gt=True, xx=True, ch=True)
        if begun:
            # A message that was acknowledged since it was read must not leave a lease behind.
            still = read_fields(client, self.unacked_key, tags, MAX_TAG_BYTES)
            gone = [tag for tag, value in zip(tags, still, strict=True) if value is None]
            if gone:
                client.zrem(self.unacked_index_key, *gone)
        return bool(begun or ended)

    def _drop_invalid(self, client: redis.Redis, most: int) -> bool:
        """Remove invalid messages whose lease has ended, and leases without a message; return whether there were any.

        Kombu takes ten at a time, the latest first. Behind thousands of invalid ones, a job would wait for hours.
        """
        lease: float = self.channel.visibility_timeout
        index = self.unacked_index_key
        latest = self._clock.now() - lease
        tags: Any = client.zrange(index, latest, "-inf", desc=True, byscore=True, offset=0, num=most)
        held = read_fields(client, self.unacked_key, tags, MAX_HELD_BYTES) if tags else []
        # The answer ends early after many large values.
        known = list(zip(tags, held, strict=False))
        # A message that is given back keeps its tag, and another worker may hold it by now. So the hash is left alone;
        # if this removes that worker's lease, the lease begins anew.
        without = [tag for tag, value in known if value is None]
        if without:
            client.zrem(index, *without)
        invalid = [tag for tag, value in known if value is not None and not _is_task(value)]
        if invalid:
            logger.error(
                "Dropped %d invalid held messages, the first one with the delivery tag %s",
                len(invalid), one_line(repr(invalid[0]))[:300],
            )  # fmt: skip
            with client.pipeline() as pipeline:
                pipeline.zrem(index, *invalid)
                pipeline.hdel(self.unacked_key, *invalid)
                pipeline.execute()
        return bool(without or invalid)

    @property
    def visibility_timeout(self) -> float:
        """The lease in seconds, corrected for this host's clock: kombu subtracts it from the host's time."""
        lease: float = self.channel.visibility_timeout
        return lease + time.time() - self._clock.now()

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
