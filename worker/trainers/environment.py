"""Where a trainer runs: the number of threads, the kind of CPU, and the versions of its libraries."""

import contextlib
import os
import platform
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nn.files import digest

#: The most characters of an environment in a result (`worker.job.Short`).
_LONGEST = 1000
#: The variables that limit BLAS, OpenMP and numba to one thread, as in workers. With several threads, the order of a
#: sum, and so its last bits, may depend on their number. The libraries read these variables when they are loaded.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def use_threads(count: int) -> None:
    """Let the libraries of this process, and those that it starts, use this many threads.

    Call it with 1 before NumPy is imported, which starts its threads at once: a process with threads must not be
    forked. A process that trains may have more.
    """
    os.environ.update(dict.fromkeys(ONE_THREAD, str(count)))
    if count > 1:
        from threadpoolctl import threadpool_limits

        threadpool_limits(count)


@contextlib.contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables in the block; afterwards they are as before."""
    before = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(before)


@cache
def environment(packages: tuple[str, ...], threads: int = 1) -> str:
    """Return a line that names the CPU, Python, distributions and threads. Equal lines should mean equal bits.

    A line that is longer than a result may have ends with its hash.
    """
    versions = [f"{name} {installed(name) or 'missing'}" for name in packages]
    several = [f"{threads} threads"] if threads > 1 else []
    line = ", ".join([_cpu(), f"Python {platform.python_version()}", *versions, *several])
    return line if len(line) <= _LONGEST else f"{line[:900]}... {digest(line.encode())}"


def installed(package: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    with contextlib.suppress(PackageNotFoundError):
        return version(package)
    return None


def _cpu() -> str:
    from threadpoolctl import threadpool_info

    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    # CPUs of one name may differ: BLAS and the C library choose kernels by its instructions, not its other flags.
    kernels = sorted({each["architecture"] for each in threadpool_info() if "architecture" in each})
    sets = re.findall(r"\b(?:avx|s?sse|fma|bmi|f16c|asimd|sve)\w*", told.get("flags", told.get("Features", "")))
    chosen_by = digest(f"{sorted(sets)}, {os.environ.get('GLIBC_TUNABLES')}".encode())[:8]
    kinds = ", ".join(filter(None, (platform.machine(), *kernels, " ".join(platform.libc_ver()).strip(), chosen_by)))
    return f"{told.get('model name') or platform.processor() or 'an unknown CPU'} ({kinds})"
