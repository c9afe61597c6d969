"""Runs a job on Celery. `celery -A worker worker` and `celery -A worker flower` find the app here."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Celery looks for an attribute `celery` of the package it is given. Made on demand, so that reading `worker.job`
    # (as `orchestrator --help` does) does not pay for importing Celery.
    if name == "celery":
        from worker.app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
