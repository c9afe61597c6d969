"""Listeners, to which sessions and verifications report what happens. The caller decides what to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.folder.rows import Row
from worker.job import Job
from worker.records.report import Report


class Progress:
    """Receives messages, reports and rows, in the thread that waits for the tasks. This one ignores all but messages.

    Args:
        tell: Receives the messages.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _text: None) -> None:
        self._tell = tell

    def message(self, text: str) -> None:
        """Receive a sentence for the user."""
        self._tell(text)

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Receive the running tasks by id, each with its last report (None before the first)."""

    def added(self, jobs: Mapping[str, Job]) -> None:
        """Receive the jobs that were added to the sweep, by key."""

    def finished(self, row: Row) -> None:
        """Receive the row of a job that has ended."""


SILENT = Progress()
