"""Every setting, its environment variable and its default. No other module reads settings from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from nn.errors import Described, InvalidInputError

#: The longest time limit: ten years, in seconds.
MAX_TIME_LIMIT = 315_360_000


class Settings(BaseSettings):
    """Settings of a worker and of the orchestrator.

    A field is read from the variable `SEEDSWEEP_<FIELD>` unless its comment names another. Empty variables are ignored.
    """

    model_config = SettingsConfigDict(
        env_prefix="SEEDSWEEP_", env_ignore_empty=True, frozen=True, populate_by_name=True
    )

    #: The Redis server that holds the queue. Without it, `orchestrator` starts an embedded cluster, and a worker
    #: expects Redis on its own host.
    broker_url: str | None = Field(default=None, validation_alias="CELERY_BROKER_URL", description="a URL")
    #: The Redis server that holds the results. Without it, the broker.
    result_backend: str | None = Field(default=None, validation_alias="CELERY_RESULT_BACKEND", description="a URL")
    #: What a worker trains; it leaves the jobs of other trainers to other workers.
    trainer: str = Field(default="network", description="the name of an installed trainer")
    #: A worker's data set; for `orchestrator`, the default of `--data`. For `network`: `bundled`, `openml`, or a folder
    #: with the four IDX files. Without it, the trainer's own default.
    data: str | None = Field(default=None, description="the source of a data set, as the trainer takes it")
    #: The folder in which prepared MNIST is cached.
    cache_dir: Path = Field(
        default_factory=lambda: Path("~/.cache/seedsweep").expanduser(), description="the path of a folder"
    )
    #: Threads that BLAS, OpenMP and numba may use in a job: `OMP_NUM_THREADS` and its like are set to it. The bits of a
    #: trainer that is not exact may depend on it, and its rows name it.
    threads: int = Field(default=1, ge=1, le=1024, description="an integer from 1 to 1024")
    #: The folder for what trainers print and log, with a file for each job; a sweep sets it for its embedded cluster.
    #: Without it, trainers write to the worker's log, and the end of a failed job's log comes with its result.
    log_dir: Path | None = Field(default=None, description="the path of a folder")
    #: Seconds after which a message whose lease is no longer renewed is redelivered.
    lease_seconds: float = Field(default=30.0, ge=3.0, le=86_400.0, description="seconds from 3 to 86400")
    #: Seconds between two searches for messages whose lease has expired.
    restore_seconds: float = Field(default=3.0, ge=0.5, le=600.0, description="seconds from 0.5 to 600")
    #: Timeout of a command to Redis, in seconds; the worker then reconnects.
    socket_seconds: float = Field(default=20.0, ge=2.0, le=600.0, description="seconds from 2 to 600")
    #: Seconds of training between two checkpoints, which are saved at the end of an epoch.
    checkpoint_seconds: float = Field(default=5.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds that a stopping worker waits for the end of an epoch before it interrupts its jobs.
    stop_seconds: float = Field(default=7.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds after which a job fails if no worker has its trainer, in its version, and its data set.
    dataset_seconds: float = Field(default=60.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds without progress after which a worker ends the process that trains a job. The limit is longer if ten of
    #: the job's slowest epochs (a day at most), or three times `SEEDSWEEP_SOCKET_SECONDS`, are.
    hang_seconds: float = Field(default=600.0, ge=1.0, le=86_400.0, description="seconds from 1 to 86400")
    #: Seconds without progress after which a job's stack is written to its log, and a sweep mentions the job.
    silent_seconds: float = Field(default=60.0, ge=1.0, le=86_400.0, description="seconds from 1 to 86400")
    #: Seconds after which an attempt at a job is ended, and the job fails without another attempt. For an embedded
    #: cluster, `--time-limit` sets it. With `--pool solo`, there is no limit.
    time_limit: int | None = Field(
        default=None, ge=1, le=MAX_TIME_LIMIT, description="an integer of seconds from 1 to 315360000"
    )
    #: The number of times that a job may hang or take its worker down before it fails.
    max_attempts: int = Field(default=3, ge=1, le=1000, description="an integer from 1 to 1000")
    #: The number of jobs failed in a row after which a worker takes no more.
    breaker_failures: int = Field(default=5, ge=1, le=1000, description="an integer from 1 to 1000")
    #: Seconds for which results and weights are kept in Redis. What decides how an open job goes on (attempts,
    #: checkpoint, cancellation) is kept while a worker holds the job, and for a week at least.
    result_expires: int = Field(
        default=7 * 86_400, ge=60, le=315_360_000, description="an integer of seconds from 60 to 315360000"
    )
    #: Bytes of weights that stay in Redis for later sweeps. Older ones leave once each unfinished sweep of their job
    #: has its row or has ended.
    artifact_bytes: int = Field(
        default=64 * 2**20, ge=0, le=2**50, description="an integer of bytes from 0 to 1125899906842624"
    )


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidInputError: a variable has an invalid value.
    """
    try:
        return Settings()
    except RuntimeError:
        # Raised by `expanduser`: the user has no home folder for the default cache.
        raise InvalidInputError("SEEDSWEEP_CACHE_DIR", Described("missing"), _allowed("cache_dir")) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"SEEDSWEEP_{name.upper()}"
        raise InvalidInputError(variable, first["input"], _allowed(name)) from None


def _allowed(name: str) -> str:
    fields = Settings.model_fields.items()
    return next(info.description or "" for field, info in fields if name in (field, info.validation_alias))
