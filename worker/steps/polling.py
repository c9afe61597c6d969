"""Keeps the event loop from mistaking a new connection's socket for a closed one."""

from __future__ import annotations

from typing import Any

from celery import bootsteps


class PollStep(bootsteps.StartStopStep):
    """Makes the event loop forget closed sockets.

    When kombu reconnects by itself (after the reset of an idle connection or a failed health check), its table keeps
    the file descriptor of the old socket, and the event loop goes on watching that descriptor. The lease's thread
    reconnects at the same moment, and its new socket may get the same descriptor. When Redis then answers the lease,
    the event loop waits forever for a message on the worker's connection: the worker stays connected and takes no more
    jobs.

    It relies on attributes that kombu does not document; `tests/integration/test_polling.py` fails if they move.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, c: Any) -> None:
        """Keep closed sockets out of a new connection's table."""
        # Only kombu's transport for Redis has such a table; some tests use another transport.
        cycle = getattr(c.connection.transport, "cycle", None)
        if hasattr(cycle, "_fd_to_chan"):
            forget_closed_sockets(cycle)


def forget_closed_sockets(cycle: Any) -> None:
    """Drop closed sockets from a connection's table before each poll of the event loop."""
    prepare = cycle.on_poll_start

    def prepare_and_forget() -> None:
        prepare()
        open_now = {sock.fileno() for sock in cycle._chan_to_sock.values()}
        for descriptor in cycle._fd_to_chan.keys() - open_now:
            del cycle._fd_to_chan[descriptor]

    cycle.on_poll_start = prepare_and_forget
