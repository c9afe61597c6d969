"""Turns arguments that several commands share from words into values: a cluster, a folder, a number of processes."""

from __future__ import annotations

import re
from pathlib import Path

from nn.errors import Described, InvalidInputError
from orchestrator.sweeps.manifest import check_name
from worker.redis.address import redis_url
from worker.settings import Settings, load_settings

MAX_WORKERS = 1024


def settings_for(broker: str | None) -> Settings:
    """Return the settings from the environment, with the cluster that `--broker` names.

    Raises:
        InvalidInputError: an environment variable or the address is invalid.
    """
    settings = load_settings()
    if broker is None:
        return settings
    # A result backend in the environment belongs to the broker in the environment, if there is one.
    backend = settings.result_backend if settings.broker_url is None else None
    return settings.model_copy(update={"broker_url": redis_url(broker, "--broker"), "result_backend": backend})


def settings_of_a_cluster(broker: str | None) -> Settings:
    """Return the settings for a command that needs an existing cluster.

    Raises:
        InvalidInputError: no cluster is named, or its address is invalid.
    """
    settings = settings_for(broker)
    if settings.broker_url is None:
        allowed = "the address of a Redis server, also as CELERY_BROKER_URL (an embedded cluster ends with its command)"
        raise InvalidInputError("--broker", Described("missing"), allowed)
    return settings


def output_folder(output: str) -> Path:
    """Return the folder that holds the sweeps.

    Raises:
        InvalidInputError: the path is empty, or has a null character.
    """
    if not output or "\0" in output:
        raise InvalidInputError("--output", output, "the path of a folder")
    return Path(output)


def sweep_name(name: str) -> str:
    """Return the argument NAME.

    Raises:
        InvalidInputError: it is not a valid name of a sweep.
    """
    try:
        return check_name(name)
    except InvalidInputError as error:
        raise InvalidInputError("NAME", name, error.allowed) from None


def embedded_workers(workers: str | None, settings: Settings, broker: str | None) -> int | None:
    """Return the number of processes of an embedded cluster; None without `--workers`.

    Raises:
        InvalidInputError: the number is invalid, or the command does not use an embedded cluster.
    """
    if workers is None:
        return None
    if settings.broker_url is not None:
        where = "--broker" if broker is not None else "CELERY_BROKER_URL"
        raise InvalidInputError(
            "--workers", workers, f"nothing together with {where}, because that cluster has its own workers"
        )
    # int() would also accept 1_0, and digits of other scripts.
    if not (re.fullmatch("[0-9]{1,4}", workers) and 1 <= int(workers) <= MAX_WORKERS):
        raise InvalidInputError("--workers", workers, f"an integer from 1 to {MAX_WORKERS}")
    return int(workers)
