"""Looks into the processes of a test's worker whenever one has trained a job: `--include tests.support.actions`."""

from __future__ import annotations

import json
from typing import Any

from celery import signals
from celery.utils.log import get_logger

logger = get_logger(__name__)


@signals.task_postrun.connect(weak=False)
def tell(**_: Any) -> None:
    """Log what `threads` and `loaded` see, as one line of JSON after `OBSERVED`."""
    logger.info("OBSERVED %s", json.dumps(threads() | loaded()))


def threads() -> dict[str, Any]:
    """Return how many threads the libraries use in a process that trains."""
    import os

    import numba
    import numpy  # noqa: F401 - loads BLAS
    import scipy.linalg  # noqa: F401 - loads its own BLAS
    from threadpoolctl import threadpool_info

    return {
        "libraries": [(library["internal_api"], library["num_threads"]) for library in threadpool_info()],
        "numba": numba.get_num_threads(),
        "running": len(os.listdir("/proc/self/task")),  # noqa: PTH208 - a count of kernel threads
    }


def loaded() -> dict[str, Any]:
    """Return whether this process has the data set, without loading it."""
    from celery import current_app

    from worker.messages import TRAIN

    return {"loaded": "data" in current_app.tasks[TRAIN].__dict__}
