"""Listeners, to which sessions and verifications report what happens. The caller decides what to show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from orchestrator.folder.activity import Activity
from orchestrator.folder.rows import Row
from worker.records.report import Report

if TYPE_CHECKING:
    from worker.records.presence import Presence


class Progress(AbstractContextManager["Progress"]):
    """Receives messages, reports and rows, in the thread that waits for the tasks. This one ignores all but messages.

    A display begins and ends as a context manager.

    Args:
        tell: Receives the messages.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _text: None) -> None:
        self._tell = tell

    def __exit__(self, *_: object) -> None:
        """Show nothing any more."""

    def message(self, text: str) -> None:
        """Receive a sentence for the user."""
        self._tell(text)

    def running(
        self, reports: Mapping[str, Report | None], workers: Collection[Presence], lost: Mapping[str, float]
    ) -> None:
        """Receive the state of the running tasks, at every poll.

        Args:
            reports: The last report of each, by its id; None before the first.
            workers: The cluster's workers.
            lost: Those that are lost, by name: seconds since the last heartbeat.
        """

    def underway(self, found: Activity | None) -> None:
        """Receive what goes on in the sweep, about every second; None if that is not known."""

    def finished(self, row: Row) -> None:
        """Receive the row of a job that has ended."""


SILENT = Progress()
