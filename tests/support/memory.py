"""The memory that a test may take."""

import contextlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path


def resident(name: str, process: int | str = "self") -> int:
    """Return the bytes that a process has (`VmRSS`), or the most that it ever had (`VmHWM`)."""
    return int(Path(f"/proc/{process}/status").read_text().partition(f"{name}:")[2].split()[0]) << 10


@contextlib.contextmanager
def resident_at_most(size: int) -> Iterator[None]:
    """Fail if this process's resident memory grows by so many bytes in the block."""
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    yield
    assert resident("VmHWM") - before < size


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fail if the block has more bytes of Python's memory at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size
