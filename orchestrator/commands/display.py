"""How a command reports progress to its caller: a display that the caller provides, or none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext

from orchestrator.folder.rows import Row
from orchestrator.running.listener import SILENT, Progress
from worker.job import Job

#: Opens a display of a sweep. Its arguments are the sweep's jobs and the rows that it has already, both by job key, and
#: the options that vary.
Display = Callable[[Mapping[str, Job], Mapping[str, Row], Collection[str]], AbstractContextManager[Progress]]
#: Receives one sentence for the user, such as that Redis does not answer.
Tell = Callable[[str], None]


def silent(
    _jobs: Mapping[str, Job], _rows: Mapping[str, Row], _axes: Collection[str]
) -> AbstractContextManager[Progress]:
    """Open a display that shows nothing."""
    return nullcontext(SILENT)


def ignore(_text: str) -> None:
    """Drop a message."""
