"""`results.jsonl`: a line for each row. Up to 16 rows that end together are written together, after their weights."""

import contextlib
import errno
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path

from pydantic import ValidationError

from nn.files import json_values, open_own, open_regular, sync_folder
from orchestrator.errors import SweepUnreadableError
from orchestrator.folder.rows import Row, Rows
from orchestrator.text import counted
from worker.errors import TrainerUnusableError
from worker.job import Job, misfit

#: Longest piece of a line that is read at once, in bytes: a row of 100,000 epochs has 8 MB.
_PIECE_BYTES = 16 * 2**20
#: Most bytes of further rows of jobs that have one, which are parsed in vain: for any sweep, and for each job.
_FILE_BYTES, _AGAIN_BYTES = 2**24, 2**13
#: How many further rows of a job are not charged for the numbers of its epochs: it gets one when a resumed sweep trains
#: it again after a failure, which few do more often.
_FREE_ROWS = 4
#: Most bytes of lines that are no rows of the sweep's jobs, beside what those that were withdrawn may have.
_SKIPPED_BYTES = 2**28
#: Bytes of damaged rows, some for each job, after which no row is read: parsing them takes longest.
_DAMAGED_BYTES, _JOB_DAMAGED_BYTES = 2**24, 2**10
#: Of how many jobs that were withdrawn the longest rows are allowed for: their keys may be made up.
_LONG_ROWS = 32
#: Most bytes of a line, and most values, beside the numbers of its epochs.
_LINE_BYTES, _LINE_VALUES = 2**21, 2**14
#: Most bytes of a number.
_NUMBER_BYTES = 30
#: Most lines of a file: some for any sweep, and those of each job, which gets one whenever it ends.
_FILE_LINES, _JOB_LINES = 1_000_000, 100
#: Finds the job of a line without parsing it.
_JOB = re.compile(rb'"job"\s*:\s*"([0-9a-f]{64})"')


def read_rows(
    path: Path, jobs: Mapping[str, Job], known: frozenset[str] = frozenset(), within: Path | None = None
) -> tuple[Rows, int]:
    """Read the rows of these jobs, by job key. Invalid lines, such as a torn one, are skipped.

    The file may be a stranger's: what it costs is bounded by what the sweep's jobs can need.

    Args:
        path: The file; a missing one has no rows yet.
        jobs: The jobs by key.
        known: The keys of all jobs that the sweep has, or has had: lines of the others among them are skipped, too.
        within: See `open_regular`.

    Returns:
        The rows, and the number of lines that were skipped although they are complete: foreign or damaged ones.

    Raises:
        SweepUnreadableError: the file exists and cannot be read, or has more than its rows can have.
    """
    rows = Rows()
    damaged, again, broken, skipped, others = 0, 0, 0, 0, known - jobs.keys()
    lines, most_broken = _FILE_LINES + _JOB_LINES * len(jobs), _DAMAGED_BYTES + _JOB_DAMAGED_BYTES * len(jobs)
    try:
        with open_regular(path, within=within) as file:
            most, repeated = _FILE_BYTES + _AGAIN_BYTES * len(jobs), Counter[str]()
            longest = _PIECE_BYTES + _NUMBER_BYTES * max(map(_numbers, jobs.values()), default=0) if others else 0
            most_skipped = _SKIPPED_BYTES + longest * min(len(others), _LONG_ROWS)
            for number, line in enumerate(_lines(file)):
                if number >= lines or again > most or skipped > most_skipped:
                    raise OSError(errno.EFBIG, f"more than the rows of {counted(len(jobs), 'job')} can have")
                key = _job_of(line)
                row = None
                if key in jobs:
                    if key in rows:
                        repeated[key] += 1
                        free = _NUMBER_BYTES * _numbers(jobs[key]) if repeated[key] <= _FREE_ROWS else 0
                        again += max(0, len(line) - free)
                    row = _read(line, key, jobs[key]) if broken < most_broken else None
                if row is None:
                    skipped, broken = skipped + len(line), broken + len(line) * (key in jobs)
                    damaged += line.endswith(b"\n") and key not in others
                # The last row of a job counts, but one without a result never replaces a result.
                elif row.accepted or row.job not in rows or not rows[row.job].accepted:
                    rows[row.job] = row
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SweepUnreadableError(path, error) from None
    return rows, damaged


def lines_of(path: Path, is_wanted: Callable[[str], bool], within: Path) -> Iterator[bytes]:
    """Yield the complete lines of the wanted jobs as they are; a missing file has none. `within`: see `read_rows`."""
    with contextlib.suppress(FileNotFoundError), open_regular(path, within=within) as file:
        yield from (line for line in _lines(file) if line.endswith(b"\n") and is_wanted(_job_of(line)))


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Append rows: all of their lines, or nothing. Once this returns, they survive a power cut.

    Raises:
        OSError: the file cannot be written, or is not a regular file.
    """
    with open_own(path, os.O_APPEND | os.O_CREAT) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            for line in (row.line().encode() for row in rows):
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(size)
            raise
    if size == 0:
        # The file may be new: its name must survive, too.
        sync_folder(path.parent)


def cut_torn_line(path: Path) -> None:
    """Remove a torn last line, left by an interrupted write; the next row would be appended to it."""
    with contextlib.suppress(FileNotFoundError), open_own(path) as file:
        size = os.fstat(file.fileno()).st_size
        begin = max(size - _PIECE_BYTES, 0)
        end = os.pread(file.fileno(), _PIECE_BYTES, begin).rfind(b"\n") + 1
        if begin and not end:
            # No row is that long: it stays, as a damaged line.
            os.pwrite(file.fileno(), b"\n", size)
        elif begin + end < size:
            file.truncate(begin + end)


def _lines(file: BufferedReader) -> Iterator[bytes]:
    """Yield the lines that the file had when it was opened; one longer than `_PIECE_BYTES` comes in pieces."""
    while line := file.readline(_PIECE_BYTES):
        yield line


def _read(line: bytes, key: str, job: Job) -> Row | None:
    """Read a row of a job. Nothing is parsed that is longer than a row of the job can be.

    A row of a trainer that cannot be imported is skipped like a torn one.
    """
    numbers = _numbers(job)
    if len(line) > _LINE_BYTES + _NUMBER_BYTES * numbers or json_values(line) > _LINE_VALUES + numbers:
        return None
    with contextlib.suppress(ValidationError, TrainerUnusableError):
        row = Row.model_validate_json(line, context=job.trainer)
        # JSON takes the last of two keys, and the line was counted for the first one.
        fits = row.job == key
        if fits and not (row.accepted and misfit(job, row.status, row.validation_score, row.others, row.stopped)):
            return row
    return None


def _job_of(line: bytes) -> str:
    found = _JOB.search(line)
    return found[1].decode() if found else ""


def _numbers(job: Job) -> int:
    return job.epochs * (2 + len(job.others))
