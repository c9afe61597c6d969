"""Every setting that comes from the environment, with its default: the only place that reads it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from nn.errors import Described, InvalidInputError


class Settings(BaseSettings):
    """Settings of a worker and of the orchestrator; each field is the variable `SEEDSWEEP_<FIELD>` unless noted."""

    model_config = SettingsConfigDict(
        env_prefix="SEEDSWEEP_", env_ignore_empty=True, frozen=True, populate_by_name=True
    )

    #: Where jobs are queued: `CELERY_BROKER_URL`. None starts the embedded cluster (a worker then expects localhost).
    broker_url: str | None = Field(default=None, validation_alias="CELERY_BROKER_URL", description="a URL")
    #: Where results are kept: `CELERY_RESULT_BACKEND`. None is the broker's own Redis.
    result_backend: str | None = Field(default=None, validation_alias="CELERY_RESULT_BACKEND", description="a URL")
    #: `bundled`, `openml`, or a folder with the four IDX files.
    data: str = Field(default="bundled", description="bundled, openml, or a folder with the four IDX files")
    #: Where prepared data sets are kept between runs.
    cache_dir: Path = Field(
        default_factory=lambda: Path("~/.cache/seedsweep").expanduser(), description="the path of a folder"
    )
    #: Seconds after which a message that its worker no longer renews is given to another worker.
    lease_seconds: float = Field(default=30.0, ge=3.0, le=86_400.0, description="seconds from 3 to 86400")
    #: Seconds between two looks for messages whose lease has ended.
    restore_seconds: float = Field(default=3.0, ge=0.5, le=600.0, description="seconds from 0.5 to 600")
    #: Seconds after which a command on a connection that went silent is given up, and the connection made anew.
    socket_seconds: float = Field(default=20.0, ge=2.0, le=600.0, description="seconds from 2 to 600")
    #: Seconds of training after which the next epoch's end is checkpointed.
    checkpoint_seconds: float = Field(default=5.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds that a stopping worker waits for the end of an epoch before it gives its job back in the middle of one.
    stop_seconds: float = Field(default=7.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds for which a job waits for a worker with its data set, while others refuse it, before it is failed.
    dataset_seconds: float = Field(default=60.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: How many workers a job may take down before it is failed.
    max_attempts: int = Field(default=3, ge=1, le=1000, description="an integer from 1 to 1000")
    #: Failed jobs in a row after which a worker takes no more.
    breaker_failures: int = Field(default=5, ge=1, le=1000, description="an integer from 1 to 1000")
    #: Seconds for which results and weights are kept in Redis.
    result_expires: int = Field(
        default=7 * 86_400, ge=60, le=315_360_000, description="an integer of seconds from 60 to 315360000"
    )


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidInputError: a variable has a value that cannot be used.
    """
    try:
        return Settings()
    except RuntimeError:
        # There is no home folder to put a cache into.
        raise InvalidInputError("SEEDSWEEP_CACHE_DIR", Described("missing"), _allowed("cache_dir")) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"SEEDSWEEP_{name.upper()}"
        raise InvalidInputError(variable, first["input"], _allowed(name)) from None


def _allowed(name: str) -> str:
    for field, info in Settings.model_fields.items():
        if name in (field, info.validation_alias):
            return info.description or ""
    raise KeyError(name)
