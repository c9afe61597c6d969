"""Calls a function in a process of its own: one that may end its process, or whose cost is not known beforehand."""

import contextlib
import os
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")


def forked(call: Callable[..., _Result], *arguments: object, bounds: tuple[int, int] | None = None) -> _Result:
    """Return what a function returns in a fork of this process, or raise what it raises.

    Args:
        call: The function.
        arguments: Its arguments, which are copied by `pickle`, as is what it returns or raises.
        bounds: Bytes of memory that it may take beside those of this process, and seconds of a processor; what it
            writes to standard error is then dropped.

    Raises:
        BrokenProcessPool: its process ended, for example at a bound.
    """
    with ProcessPoolExecutor(1, get_context("fork"), bounds and partial(_limit, *bounds)) as another:
        return another.submit(call, *arguments).result()


def _limit(memory: int, seconds: int) -> None:
    # Also for warnings of libraries in C.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with contextlib.suppress(OSError):  # without /proc
        data = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (data + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds,) * 2)
