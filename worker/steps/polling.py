"""Keeps the event loop from taking another connection for one that is gone."""

from __future__ import annotations

from typing import Any

from celery import bootsteps


class PollStep(bootsteps.StartStopStep):
    """Lets the event loop forget the sockets that were closed.

    When kombu connects again by itself (an idle connection was reset, a health check failed), it keeps the number of
    the old socket in its table, and has the event loop watch that number from then on. The lease's thread connects
    again at the same moment, and may get the number. When Redis answers the lease, the event loop then waits for an
    announcement that nobody makes, for ever: the worker stays connected and takes no job any more.

    It relies on attributes that kombu does not document; `tests/integration/test_polling.py` fails if they move.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, c: Any) -> None:
        """Begin with a new connection."""
        # Brokers other than Redis have no such table, and tests use one.
        cycle = getattr(c.connection.transport, "cycle", None)
        if hasattr(cycle, "_fd_to_chan"):
            forget_closed_sockets(cycle)


def forget_closed_sockets(cycle: Any) -> None:
    """Let a connection's table of sockets hold open ones only, whenever the event loop is about to wait for them."""
    prepare = cycle.on_poll_start

    def prepare_and_forget() -> None:
        prepare()
        open_now = {sock.fileno() for sock in cycle._chan_to_sock.values()}
        for number in cycle._fd_to_chan.keys() - open_now:
            del cycle._fd_to_chan[number]

    cycle.on_poll_start = prepare_and_forget
