"""Turns Ctrl-C, SIGTERM and a closed terminal into an exception, which is deferred while a critical step runs."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from traceback import walk_stack
from types import FrameType

#: Seconds after which an interruption that was swallowed is raised again.
AGAIN_SECONDS = 0.5
#: After so many alarms, what must not be left half-done is interrupted, too: it may never end.
MOST_ALARMS = 10


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
    processes by SIGKILL). An exception that was swallowed, by Python as in a `__del__` or by a library, is raised
    again `AGAIN_SECONDS` later. A first one waits while a module is imported, as pydantic would keep a broken class, or
    Python looks for the folder of temporary files, as the file that it tries this with would stay.

    Outside `handling()`, no signal handler is installed and nothing is raised. That is how a command runs that is
    called from Python, in any thread.
    """

    def __init__(self) -> None:
        self._shields = 0
        self._waiting: int | None = None
        self._asked = 0
        self._alarms = 0

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP while the block runs."""
        # One that has waited for an import knows no shield of this one.
        raise_swallowed()
        numbers = [signal.SIGINT, signal.SIGTERM]
        # Under nohup, a command is meant to outlive its terminal.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        # The alarm may be in use, and is taken at the first signal only.
        before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
        report, sys.unraisablehook = sys.unraisablehook, partial(_report, sys.unraisablehook)
        try:
            yield
        finally:
            if self._asked:
                signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = report
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Defer a signal until the block has ended; if that fails, until the next alarm: the error is told first."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if self._waiting is not None and not self._shields:
            waiting, self._waiting = self._waiting, None
            self._interrupt(waiting)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        again, self._asked = bool(self._asked), signum
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
        if self._shields:
            self._waiting = signum
        elif again or not _must_end(frame):
            self._interrupt(signum)

    def _on_alarm(self, _signum: int, frame: FrameType | None) -> None:
        self._alarms += 1
        if not self._shields and (self._alarms > MOST_ALARMS or not _must_end(frame)):
            self._interrupt(self._asked)

    @staticmethod
    def _interrupt(signum: int) -> None:
        if not _is_unwinding():
            raise Interrupted(signum)


def raise_swallowed() -> None:
    """Raise an interruption that is still to be raised again, if any: whatever fails then may fail because of it."""
    handler = getattr(signal.getsignal(signal.SIGALRM), "__self__", None)
    if isinstance(handler, Interruption) and handler._asked:
        raise Interrupted(handler._asked)


def _must_end(frame: FrameType | None) -> bool:
    """Return whether a library runs that would leave something half-done."""
    codes = (each.f_code for each, _ in walk_stack(frame))
    return any(
        code.co_filename == "<frozen importlib._bootstrap>" or code is tempfile.gettempdir.__code__ for code in codes
    )


def _is_unwinding() -> bool:
    """Return whether an `Interrupted`, or the exit, is on its way up: in a `finally`, an `except` or an `__exit__`."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Interrupted | SystemExit):
        error = error.__context__
    return error is not None


def _report(report: Callable[[sys.UnraisableHookArgs], object], unraisable: sys.UnraisableHookArgs) -> None:
    """Report an exception that Python swallowed, unless it is an interruption."""
    if not isinstance(unraisable.exc_value, Interrupted):
        report(unraisable)
