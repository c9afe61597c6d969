"""A worker that gave back a job rests: one place of its prefetch limit stays taken for a while."""

from __future__ import annotations

import time

from kombu import Connection
from kombu.asynchronous.timer import Timer
from kombu.transport.virtual import QoS

from worker.steps.refusal import REST_SECONDS, _rest


def test_a_rest_takes_a_place_of_the_prefetch_limit_until_it_ends() -> None:
    # Given a channel that may hold two messages
    with Connection("memory://") as connection:
        qos = QoS(connection.channel(), prefetch_count=2)
        timer = Timer()
        # When both of its processes gave a job back
        rests = []
        for _ in range(2):
            assert qos.can_consume()
            _rest(qos, timer)
            rests.append(timer.queue[-1])
        # Then it takes nothing,
        assert not qos.can_consume()
        for when, _, _ in rests:
            assert 0.4 * REST_SECONDS < when - time.monotonic() < 1.6 * REST_SECONDS
        # until a rest has ended.
        rests[0].entry()
        assert qos.can_consume()
