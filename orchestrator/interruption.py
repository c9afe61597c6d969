"""Turns Ctrl-C, SIGTERM and a closed terminal into an exception, which is deferred while a critical step runs."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType


class Interrupted(BaseException):
    """The process was asked to end. Not an `Exception`, so that no error handler swallows it.

    Attributes:
        status: The exit status for the signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.status = 128 + signum


class Interruption:
    """Raises `Interrupted` at a signal, and never inside `shield()`.

    While that exception unwinds the stack, later signals change nothing: the way out takes bounded time (it ends
    processes by SIGKILL). An exception that Python swallowed, as it does in a `__del__`, is raised again at the next
    signal.

    Outside `handling()`, no signal handler is installed and nothing is raised. That is how a command runs that is
    called from Python, in any thread.
    """

    def __init__(self) -> None:
        self._shields = 0
        self._waiting: int | None = None
        self._asked: int | None = None

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP while the block runs."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        # Under nohup, a command is meant to outlive its terminal.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Defer a signal until the block has ended."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
            if self._waiting is not None and not self._shields:
                waiting, self._waiting = self._waiting, None
                self._interrupt(waiting)

    def check(self) -> None:
        """Raise `Interrupted` if there was a signal: a library may have swallowed the exception."""
        if self._asked is not None:
            self._interrupt(self._asked)

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self._asked = signum
        if self._shields:
            self._waiting = signum
        else:
            self._interrupt(signum)

    @staticmethod
    def _interrupt(signum: int) -> None:
        if not _is_unwinding():
            raise Interrupted(signum)


def _is_unwinding() -> bool:
    """Return whether an `Interrupted` is on its way up: this runs in a `finally`, an `except` or an `__exit__`."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Interrupted):
        error = error.__context__
    return error is not None
