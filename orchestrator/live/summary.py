"""A sweep in one line: its state, its verdict, and how many of its jobs have ended."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime

from nn.errors import SeedsweepError
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.live.sweeps import changed_at, held, is_quiet, locks
from orchestrator.sweeps.manifest import Manifest

#: The states of a sweep, and what they mean.
STATES = {
    "running": "its process trains, or waits for workers",
    "finished": "every job has ended",
    "cancelled": "it was cancelled",
    "interrupted": "its process has ended before all jobs had",
    "quiet": "jobs are missing, and nothing has come for ten minutes; its process is not on this host",
    "damaged": "it cannot be read",
    "too large": "reading it takes more time or memory than the index spends on one sweep",
}


@dataclass(frozen=True)
class Summary:
    """How a sweep stands.

    Attributes:
        name: The sweep.
        state: One of `STATES`.
        sentence: The verdict; for a sweep that cannot be shown, what is wrong.
        done: Jobs that have ended.
        planned: All its jobs; 0 for a damaged sweep, and for one that is too large.
        changed: When its files changed last, UTC, ISO 8601; empty if it has none.
    """

    name: str
    state: str
    sentence: str
    done: int = 0
    planned: int = 0
    changed: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come, unless the sweep is extended."""
        return self.state in ("finished", "cancelled")


def summary(folder: SweepFolder) -> Summary:
    """Return a sweep's summary; never raises `SeedsweepError`."""
    try:
        return of_sweep(Sweep.read(folder))
    except SeedsweepError as error:
        return Summary(folder.name, "damaged", str(error), changed=_time(folder))


def of_sweep(sweep: Sweep) -> Summary:
    """Return a sweep's summary."""
    sentence = sweep.leaderboard.verdict.sentence
    state = _state(sweep)
    return Summary(sweep.folder.name, state, sentence, len(sweep.rows), len(sweep.jobs), _time(sweep.folder))


def _state(sweep: Sweep) -> str:
    folder, is_complete = sweep.folder.path, sweep.finished
    works = held(folder, locks())
    if works or (not works and not _is_told(sweep.manifest, works) and _goes_on(sweep)):
        return "running"
    if is_complete:
        return "cancelled" if sweep.accounting.cancelled else "finished"
    return "interrupted" if _is_told(sweep.manifest, works) else "quiet"


def _is_told(manifest: Manifest, works: bool | None) -> bool:
    """Return whether the folder's lock is conclusive: it shows only processes of this host."""
    last = (manifest.resumed or [manifest.provenance])[-1]
    return works is not None and last.host == socket.gethostname()


def _goes_on(sweep: Sweep) -> bool:
    """Return whether a sweep whose process cannot be seen seems to run.

    It does if it wrote something lately, but not its end: a session writes the leaderboard last.
    """
    folder = sweep.folder.path
    ended, rows = changed_at(folder, "leaderboard.json"), changed_at(folder, "results.jsonl", "sweep.json")
    is_closed = sweep.finished and ended is not None and rows is not None and ended >= rows
    return not is_closed and not is_quiet(folder)


def _time(folder: SweepFolder) -> str:
    changed = changed_at(folder.path)
    return "" if changed is None else datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
