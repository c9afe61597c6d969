"""Interfaces through which sessions and verifications report what happens. The caller decides what to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from orchestrator.folder.rows import Row
from worker.job import Job
from worker.records.report import Report


class Listener(Protocol):
    """Receives messages and reports, in the thread that waits for the tasks."""

    def message(self, text: str) -> None:
        """Receive a sentence for the user."""

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Receive the running tasks by id, each with its last report (None before the first)."""


class Progress(Listener, Protocol):
    """A listener that also receives rows."""

    def added(self, jobs: Mapping[str, Job]) -> None:
        """Receive the jobs that were added to the sweep, by key."""

    def finished(self, row: Row) -> None:
        """Receive the row of a job that has ended."""


class Silent:
    """A `Progress` that ignores everything."""

    def added(self, jobs: Mapping[str, Job]) -> None:
        """Ignore them."""

    def message(self, text: str) -> None:
        """Ignore it."""

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Ignore it."""

    def finished(self, row: Row) -> None:
        """Ignore it."""


SILENT = Silent()


class MessagesOnly(Silent):
    """A listener that passes messages on."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def message(self, text: str) -> None:
        """Pass the message on."""
        self._tell(text)
