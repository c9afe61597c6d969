"""The memory that a test may take."""

import contextlib
import tracemalloc
from collections.abc import Iterator


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fail if the block has more bytes of memory at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size
