"""One thread a process: the pool runs one process per core, so that more threads would only get in each other's way."""

from __future__ import annotations

import os

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def use_one_thread() -> None:
    """Tell BLAS, OpenMP and numba to use one thread, in this process and in those that it starts.

    The libraries read these variables when they are loaded: call this before NumPy is imported.
    """
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
