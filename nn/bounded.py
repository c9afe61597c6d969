"""Calls a function in a process of its own, for work whose memory and time do not follow from what it is given."""

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar, cast

Result = TypeVar("Result")


def bounded(call: Callable[[], Result], memory: int, seconds: int) -> Result:
    """Return what a function returns, or raise what it raises, within bounds that the system keeps.

    Args:
        call: The function. What it writes to standard error is dropped.
        memory: Bytes that it may take, beside those of this process.
        seconds: The time of a processor that it may take.

    Raises:
        MemoryError: it takes more memory or time.
    """
    context = get_context("fork")
    outcome, told = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(call, memory, seconds, told))
    process.start()
    told.close()
    try:
        # A fork can hang if threads of this process held locks; a hundred times as long, for a busy machine.
        if not outcome.poll(100 * seconds):
            raise MemoryError
        result, error = cast("tuple[Result, Exception | None]", outcome.recv())
    except EOFError:
        raise MemoryError from None
    finally:
        process.kill()
        process.join()
        outcome.close()
    if error is not None:
        raise error
    return result


def _answer(call: Callable[[], object], memory: int, seconds: int, told: Connection) -> None:
    # Only the process that waits for this one is interrupted, and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Also for warnings of libraries in C.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with contextlib.suppress(OSError):  # without /proc
        data = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (data + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds,) * 2)
    try:
        told.send((call(), None))
    except Exception as error:
        told.send((None, error))
