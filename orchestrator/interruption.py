"""Turns Ctrl-C, SIGTERM and a closed terminal into an exception, which is deferred while a critical step runs."""

from __future__ import annotations

import contextlib
import signal
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
    """Raises `Interrupted` once, at the first signal, and never inside `shield()`. Later signals change nothing.

    The way out takes bounded time (it ends processes by SIGKILL): a second signal has nothing to speed up.

    Outside `handling()`, no signal handler is installed and nothing is raised. That is how a command runs that is
    called from Python, in any thread.
    """

    def __init__(self) -> None:
        self._shields = 0
        self._waiting: int | None = None
        self._raised = False

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
            self._interrupt(self._waiting)

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        if self._shields:
            self._waiting = signum
        else:
            self._interrupt(signum)

    def _interrupt(self, signum: int) -> None:
        if not self._raised:
            self._raised = True
            raise Interrupted(signum)
