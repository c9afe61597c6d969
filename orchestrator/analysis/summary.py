"""A sweep in one line: its state, its verdict, and how many of its jobs are done."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nn.errors import SeedsweepError, clipped
from nn.files import read_regular, real
from orchestrator.folder.locks import holder, locks
from orchestrator.folder.sweeps import Sweeps, changed_at, is_quiet, note, size
from worker.job import MAX_TEXT
from worker.text import reason

if TYPE_CHECKING:
    from orchestrator.analysis.sweep import Sweep

#: The states of a sweep, and what they mean.
STATES = {
    "running": "its process trains, or waits for workers",
    "finished": "every job has ended",
    "cancelled": "it was cancelled",
    "interrupted": "its process has ended before all jobs had; on a cluster, they may go on",
    "quiet": "jobs are missing, and nothing has come for ten minutes; its process is not on this host",
    "damaged": "it cannot be read",
    "too large": "reading it takes more time or memory than the index spends on one sweep",
}
#: The most bytes of a `leaderboard.json` that is read in place of the rows.
_MOST_BYTES = 2**24
#: The verdict in a `leaderboard.json`, and how each job ended.
_SENTENCE = re.compile(rb'"sentence": ("(?:[^"\\]++|\\.)*+")')
_STATUS = re.compile(rb'"status": "([a-z]+)",\s+"score":')
#: Each row of the leaderboard there, and the most rows that a summary has.
_ROW = re.compile(rb'"mean": ([-\d.e+]+|null),\s+"low": ([-\d.e+]+|null),\s+"high": ([-\d.e+]+|null)')
MOST_MEANS = 12
#: Largest score there, in amount: `worker.trainers.protocol.MAX_SCORE`, whose import takes longer than a summary.
_LARGEST = 1e100


@dataclass(frozen=True)
class Summary:
    """How a sweep stands.

    Attributes:
        name: The sweep.
        state: One of `STATES`.
        sentence: The verdict; for a sweep that cannot be shown, what is wrong.
        done: Jobs with a result, and those that failed.
        planned: All its jobs; 0 for a damaged sweep, and for one that is too large.
        changed: When its files changed last, UTC, ISO 8601; empty if it has none.
        size: The bytes of its folder.
        note: What somebody wrote about it; empty if nobody did.
        means: Mean, and ends of the interval, of the first `MOST_MEANS` configurations; without those that have none.
    """

    name: str
    state: str
    sentence: str
    done: int = 0
    planned: int = 0
    changed: str = ""
    size: int = 0
    note: str = ""
    means: Sequence[tuple[float, float | None, float | None]] = ()

    @property
    def over(self) -> bool:
        """Whether nothing more will come, unless the sweep is extended."""
        return self.state in ("finished", "cancelled")

    @property
    def short(self) -> str:
        """The verdict in a few words."""
        return re.split(r": |\. |\.$", self.sentence, maxsplit=1)[0]


def summaries(output: Path) -> list[Summary]:
    """Return the summaries of the sweeps of a folder, the last changed first; none if there is no such folder.

    Raises:
        SweepUnreadableError: the folder cannot be read.
    """
    return [summary(output / name) for name in Sweeps(output).names()]


def summary(folder: Path, found: Path | None = None) -> Summary:
    """Return the summary of the sweep in a folder, whose path without links may have been `found` before.

    Raises no error: a trainer that is not ours may be broken in any way.
    """
    found = found or real(folder)
    recorded = _recorded(folder, found)
    if recorded is not None:
        return recorded
    # Imported here because they take longer than most of what reads summaries.
    from orchestrator.analysis.sweep import Sweep
    from orchestrator.folder.sweep_folder import SweepFolder

    taken = locks()
    try:
        return of_sweep(Sweep.read(SweepFolder(folder.parent, folder.name, found=found)), taken)
    except Exception as error:
        told = str(error) if isinstance(error, SeedsweepError) else reason(error)
        return Summary(folder.name, "damaged", told, 0, 0, *_around(found))


def of_sweep(sweep: Sweep, taken: Mapping[str, int] | None) -> Summary:
    """Return a sweep's summary; `taken` is what `locks` returned before it was read, None if that is unknown."""
    board = sweep.leaderboard
    means = [(each.mean, each.low, each.high) for each in board.standings[:MOST_MEANS] if each.mean is not None]
    done, around = sweep.accounting.done, _around(sweep.folder.real)
    return Summary(sweep.name, _state(sweep, taken), board.verdict.sentence, done, len(sweep.jobs), *around, means)


def _recorded(folder: Path, place: Path) -> Summary | None:
    """Return the summary of a sweep that has ended, from its `leaderboard.json`; None if rows have to be read."""
    if not _is_closed(folder):
        return None
    with contextlib.suppress(OSError, ValueError):
        text = read_regular(place / "leaderboard.json", _MOST_BYTES, place)
        sentence, ends = _SENTENCE.search(text), _STATUS.findall(text)
        if sentence is not None and ends and b"missing" not in ends:
            done, planned = len(ends) - ends.count(b"cancelled"), len(ends)
            if done == planned and b'"state": "so far"' in text:
                # Its sampler has more to draw.
                return None
            state = "running" if holder(folder, locks()) else "cancelled" if done < planned else "finished"
            told = clipped(str(json.loads(sentence[1])), MAX_TEXT)
            return Summary(folder.name, state, told, done, planned, *_around(place), _means(text))
    return None


def _means(text: bytes) -> list[tuple[float, float | None, float | None]]:
    """Return the `means` of a `leaderboard.json`, which may be anybody's."""
    found = []
    for row in islice(_ROW.finditer(text), MOST_MEANS):
        mean, low, high = (None if each == b"null" else float(each) for each in row.groups())
        if mean is not None and all(each is None or abs(each) <= _LARGEST for each in (mean, low, high)):
            found.append((mean, low, high))
    return found


def _state(sweep: Sweep, taken: Mapping[str, int] | None) -> str:
    folder = sweep.folder.path
    works = holder(folder, taken) or holder(folder, locks())
    last = (sweep.manifest.resumed or [sweep.manifest.provenance])[-1]
    # The folder's lock shows only processes of this host.
    is_told = works is not None and last.host == socket.gethostname()
    # Another one seems to run if it wrote something lately, but not its end: a session writes the leaderboard last.
    writes = not is_told and not (sweep.finished and _is_closed(folder)) and not is_quiet(folder)
    if works or writes:
        return "running"
    if sweep.accounting.cancelled and len(sweep.rows) == len(sweep.jobs):
        return "cancelled"
    if sweep.finished:
        return "finished"
    return "interrupted" if is_told else "quiet"


def _is_closed(folder: Path) -> bool:
    """Return whether the leaderboard is newer than all that it is made from."""
    ended, rows = changed_at(folder, "leaderboard.json"), changed_at(folder, "results.jsonl", "sweep.json")
    return ended is not None and rows is not None and ended >= rows


def _around(folder: Path) -> tuple[str, int, str]:
    """Return what does not depend on rows: the time of the last change, the size and the note."""
    changed = changed_at(folder)
    when = ""
    # A file system may have times of no year.
    with contextlib.suppress(ValueError, OverflowError):
        when = "" if changed is None else datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
    return when, size(folder), note(folder)
