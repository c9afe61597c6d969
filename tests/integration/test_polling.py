"""A worker's event loop watches its own sockets, also when kombu has replaced them and others got their numbers."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import pytest

from tests.support.cluster import Cluster
from worker.steps.taking import forget_closed_sockets


def drain(connection: Any) -> None:
    with contextlib.suppress(TimeoutError):
        connection.drain_events(timeout=0.1)


@pytest.mark.parametrize("forgets", [True, False])
def test_the_number_of_a_closed_socket_is_not_watched(shared_cluster: Cluster, forgets: bool) -> None:
    with shared_cluster.app.connection_for_read() as connection, contextlib.ExitStack() as stack:
        # Given a consumer that waits for messages and for announcements, as a worker does
        channel = connection.default_channel
        cycle = connection.transport.cycle
        if forgets:
            forget_closed_sockets(cycle)
        stack.enter_context(shared_cluster.app.amqp.TaskConsumer(channel, on_message=print))
        stack.enter_context(shared_cluster.app.control.mailbox.Node("w1@test", channel=channel).listen())
        drain(connection)
        number = channel.subclient.connection._sock.fileno()
        assert number in cycle.fds
        # When the socket for announcements is closed, and another thread's socket gets its number
        channel.subclient.connection.disconnect()
        others = [stack.enter_context(other) for other in socket.socketpair()]
        if number not in [other.fileno() for other in others]:
            os.dup2(others[0].fileno(), number)
            stack.callback(os.close, number)
        drain(connection)
        # Then the event loop does not watch it; kombu alone would
        assert channel.subclient.connection._sock.fileno() != number
        assert (number in cycle.fds) is not forgets
