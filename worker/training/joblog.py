"""The log of a job: what its trainer prints, logs and warns of, its errors, and where it stands when it is silent."""

import contextlib
import faulthandler
import io
import logging
import os
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from celery.exceptions import Ignore, Reject
from celery.utils.log import get_task_logger

from nn.files import anchored, open_own
from worker.redis import limits

logger = get_task_logger(__name__)

#: The most bytes of a log, of which the second half is kept.
MAX_BYTES = 2**20
#: Shortest time between two settings of the alarm of a silent job, in seconds.
_ALARM_SECONDS = 1.0


class _Bounded(io.RawIOBase):
    """A file that keeps the end of what is written. It raises no error: a full disk must not fail a job.

    Neither does a write after the job: a module may have kept the stream of its first import.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]
        with contextlib.suppress(OSError, ValueError):
            self._file.seek(0, os.SEEK_END)
            self._file.write(content[-MAX_BYTES:])
            if os.fstat(self.fileno()).st_size > MAX_BYTES:
                kept = self.end(MAX_BYTES // 2)
                self._file.truncate(0)
                self._file.seek(0)
                self._file.write(kept)
        return len(content)

    def end(self, size: int) -> bytes:
        """Return the last bytes."""
        self._file.seek(max(0, os.fstat(self.fileno()).st_size - size))
        return self._file.read(size)


class JobLog:
    """The log of an attempt at a job. Logs of earlier attempts stay in its file.

    Args:
        file: The file.
        silent_seconds: As in `Settings`.
    """

    def __init__(self, file: io.FileIO, silent_seconds: float) -> None:
        self._silent_seconds = silent_seconds
        self._raw = _Bounded(file)
        self.text = io.TextIOWrapper(cast("Any", self._raw), "utf-8", "backslashreplace", write_through=True)
        self._alarm = float("-inf")

    def alive(self) -> None:
        """Write where the process stands unless this is called again within `silent_seconds`."""
        # Each setting starts a thread of the C library, which sees a process that hangs in any way.
        if time.monotonic() - self._alarm > _ALARM_SECONDS:
            self._alarm = time.monotonic()
            faulthandler.dump_traceback_later(self._silent_seconds, file=self._raw.fileno())

    def explain(self, error: BaseException) -> bytes:
        """Write the error that made a job fail, and return the end of the log."""
        cause = error.__context__ or error
        frames = cause.__traceback__
        while frames and frames.tb_next and frames.tb_frame.f_globals.get("__name__", "").startswith("worker."):
            frames = frames.tb_next
        self.text.write("".join(traceback.format_exception(type(cause), cause, frames, chain=False)))
        return self._raw.end(limits.LOG)


@contextlib.contextmanager
def job_log(
    folder: Path | None, name: str, silent_seconds: float, failed: Callable[[bytes], object]
) -> Iterator[JobLog]:
    """Open the log of a job, and write to it in the block, with the error that leaves the block.

    Args:
        folder: Where the log is kept, with all that is printed, a path without links; None for a log that ends with the
            attempt.
        name: The name of its file, without a suffix.
        silent_seconds: As in `Settings`.
        failed: Called with the end of the log of a job that failed.
    """
    path = None if folder is None else folder / f"{name}.log"
    with contextlib.ExitStack() as stack:
        there, file = _open(path, stack)
        log = JobLog(file, silent_seconds)
        stack.callback(faulthandler.cancel_dump_traceback_later)
        # A pool of threads trains several jobs at once, whose outputs cannot be told apart.
        if threading.current_thread() is threading.main_thread():
            stack.enter_context(_logging_to(log.text))
            if path is not None:
                # A process shows a warning once; here each job shows its own.
                stack.enter_context(warnings.catch_warnings())
                stack.enter_context(contextlib.redirect_stdout(log.text))
                stack.enter_context(contextlib.redirect_stderr(log.text))
        log.alive()
        try:
            yield log
        except (Reject, Ignore):
            raise
        except Exception as error:
            failed(log.explain(error))
            raise
        finally:
            log.text.flush()
            if there is not None and not os.fstat(file.fileno()).st_size:
                with contextlib.suppress(OSError):
                    if os.path.samestat(there.lstat(), os.fstat(file.fileno())):
                        there.unlink()


def _open(path: Path | None, stack: contextlib.ExitStack) -> tuple[Path | None, io.FileIO]:
    """Return a log's file, and where it is while the stack lasts; a temporary file, which is nowhere, if need be."""
    if path is not None:
        try:
            logs, sweep = path.parent, path.parent.parent
            # Each step of a path without links costs as much as opening the log.
            if not logs.is_dir():
                with anchored(sweep, sweep) as there:
                    (there / logs.name).mkdir(exist_ok=True)
            there = stack.enter_context(anchored(logs, logs)) / path.name
            return there, stack.enter_context(open_own(there, os.O_CREAT | os.O_APPEND))
        except OSError as error:
            logger.warning("The log of a job is not kept: %s cannot be opened: %s", path, error.strerror or error)
    return None, stack.enter_context(tempfile.TemporaryFile(buffering=0))


@contextlib.contextmanager
def _logging_to(text: io.TextIOWrapper) -> Iterator[None]:
    """Write to a log what is logged from the level INFO on; other handlers get what they got before."""
    root = logging.getLogger()
    level, others = root.level, [(other, other.level) for other in root.handlers]
    for other, own in others:
        other.setLevel(max(own, level))
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for other, own in others:
            other.setLevel(own)
