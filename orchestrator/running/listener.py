"""What a session and a verification tell while they run. Whoever calls them decides what to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from orchestrator.folder.rows import Row
from worker.records.report import Report


class Listener(Protocol):
    """Hears what happens on a cluster. Called in the thread that waits."""

    def message(self, text: str) -> None:
        """Take a sentence for the user."""

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Take the running tasks by id, each with its last report (None before the first)."""


class Progress(Listener, Protocol):
    """Hears of rows, too."""

    def finished(self, row: Row) -> None:
        """Take the row of a job that has ended."""


class Silent:
    """A `Progress` that shows nothing."""

    def message(self, text: str) -> None:
        """Show nothing."""

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Show nothing."""

    def finished(self, row: Row) -> None:
        """Show nothing."""


SILENT = Silent()


class MessagesOnly(Silent):
    """A listener that passes messages on.

    Args:
        tell: Takes each message.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def message(self, text: str) -> None:
        """Pass the message on."""
        self._tell(text)
