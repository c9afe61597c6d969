"""Every setting that comes from the environment, with its default: the only place that reads it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from nn.errors import InvalidInputError


class Settings(BaseSettings):
    """Settings of a worker and of the orchestrator; each field is the variable `SEEDSWEEP_<FIELD>` unless noted."""

    model_config = SettingsConfigDict(env_prefix="SEEDSWEEP_", frozen=True)

    #: Where jobs are queued: `CELERY_BROKER_URL`. None starts the embedded cluster (a worker then expects localhost).
    broker_url: str | None = Field(default=None, validation_alias="CELERY_BROKER_URL")
    #: Where results are kept: `CELERY_RESULT_BACKEND`. None is the broker's own Redis.
    result_backend: str | None = Field(default=None, validation_alias="CELERY_RESULT_BACKEND")
    #: `bundled`, `openml`, or a folder with the four IDX files.
    data: str = "bundled"
    #: Where prepared data sets and compiled kernels are kept between runs.
    cache_dir: Path = Field(default_factory=lambda: Path("~/.cache/seedsweep").expanduser())
    #: Seconds after which a message that its worker no longer renews is given to another worker.
    lease_seconds: float = Field(default=30.0, ge=3.0, le=86_400.0)
    #: Seconds between two looks for messages whose lease has ended.
    restore_seconds: float = Field(default=3.0, ge=0.5, le=600.0)
    #: Seconds of training after which the next epoch's end is checkpointed.
    checkpoint_seconds: float = Field(default=5.0, ge=0.0)
    #: How many workers a job may take down before it is failed.
    max_attempts: int = Field(default=3, ge=1)
    #: Failed jobs in a row after which a worker takes no more.
    breaker_failures: int = Field(default=5, ge=1)
    #: Seconds for which results and weights are kept in Redis.
    result_expires: int = Field(default=7 * 86_400, ge=60)


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidInputError: a variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"SEEDSWEEP_{name.upper()}"
        raise InvalidInputError(variable, first["input"], first["msg"]) from None
