"""Runs a job on Celery. `celery -A worker worker` and `celery -A worker flower` find the app here."""

import os
from typing import Any


def __getattr__(name: str) -> Any:
    # Celery reads the attribute `celery` of the package. It is created on demand, so that importing `worker.job` (as
    # `orchestrator --help` does) does not import Celery.
    if name != "celery":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from worker.trainers.environment import use_threads

    use_threads(1)
    # The job and its result in words. The name and the positional arguments are the same for every task.
    os.environ.setdefault("FLOWER_TASKS_COLUMNS", "kwargs,state,result,runtime,worker,uuid,started")

    from nn.errors import SeedsweepError
    from worker.app import create_app
    from worker.settings import load_settings

    try:
        celery = create_app(load_settings())
    except SeedsweepError as error:
        raise SystemExit(f"Error: {error}") from None
    # Flower looks up results through Celery's default app.
    celery.set_default()
    globals()["celery"] = celery
    return celery
