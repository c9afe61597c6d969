"""Every setting, its environment variable and its default. No other module reads settings.

The environment comes before the project's file, the project's file before the user's, and that before the defaults.
"""

import contextlib
import os
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError, field_validator

from nn.errors import Described, InvalidInputError, meant
from nn.files import is_private, read_regular, real

#: The longest time limit: ten years, in seconds.
MAX_TIME_LIMIT = 315_360_000
#: The name of a file with settings: the user's, and the project's in the working folder or the nearest one above it.
FILE = "seedsweep.toml"
#: The most bytes of such a file.
MAX_FILE_BYTES = 8192
#: What a project's file must not set, because the project may be a stranger's: where jobs go and files are written.
USERS_OWN = frozenset({"broker_url", "result_backend", "cache_dir", "log_dir"})


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Settings of a worker and of the orchestrator. `variable` says which variable sets a field."""

    #: The Redis server that holds the queue. Without it, `orchestrator` starts an embedded cluster, and a worker
    #: expects Redis on its own host.
    broker_url: str | None = Field(default=None, description="a URL")
    #: The Redis server that holds the results. Without it, the broker.
    result_backend: str | None = Field(default=None, description="a URL")
    #: The trainer of a worker, which leaves the jobs of other trainers to other workers.
    trainer: str = Field(default="network", description="the name of an installed trainer")
    #: A worker's data set; for `orchestrator`, the default of `--data`. For `network`: `bundled`, or a folder with the
    #: four IDX files. Without it, the trainer's own default.
    data: str | None = Field(default=None, description="the source of a data set, as the trainer takes it")
    #: The folder in which prepared MNIST is cached.
    cache_dir: Path = Field(
        default_factory=lambda: Path("~/.cache/seedsweep").expanduser(), description="the path of a folder"
    )
    #: Threads that BLAS, OpenMP and numba may use in a job; `OMP_NUM_THREADS` and similar variables are set to it. It
    #: may change the bits of a trainer that is not exact, so rows of such a trainer record it.
    threads: int = Field(default=1, ge=1, le=1024, description="an integer from 1 to 1024")
    #: The folder for what trainers print and log, with a file for each job; a sweep sets it for its embedded cluster.
    #: Without it, trainers write to the worker's log, and the end of a failed job's log comes with its result.
    log_dir: Path | None = Field(default=None, description="the path of a folder")
    #: Seconds after which a message is redelivered if its lease is not renewed.
    lease_seconds: float = Field(default=30.0, ge=3.0, le=86_400.0, description="seconds from 3 to 86400")
    #: Seconds between two searches for messages with an expired lease.
    restore_seconds: float = Field(default=3.0, ge=0.5, le=600.0, description="seconds from 0.5 to 600")
    #: Timeout of a command to Redis, in seconds; the worker then reconnects.
    socket_seconds: float = Field(default=20.0, ge=2.0, le=600.0, description="seconds from 2 to 600")
    #: Seconds of training between two checkpoints, which are saved at the end of an epoch.
    checkpoint_seconds: float = Field(default=5.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds that a stopping worker waits for the end of an epoch before it interrupts its jobs.
    stop_seconds: float = Field(default=7.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds after which a job fails if no worker has both its data set and the right version of its trainer.
    dataset_seconds: float = Field(default=60.0, ge=0.0, le=86_400.0, description="seconds from 0 to 86400")
    #: Seconds without progress after which a worker ends the process that trains a job. The limit is never below
    #: ten times the job's slowest epoch (at most a day), or three times `SEEDSWEEP_SOCKET_SECONDS`.
    hang_seconds: float = Field(default=600.0, ge=1.0, le=86_400.0, description="seconds from 1 to 86400")
    #: Seconds without progress after which a job's stack is written to its log, and a sweep mentions the job.
    silent_seconds: float = Field(default=60.0, ge=1.0, le=86_400.0, description="seconds from 1 to 86400")
    #: Seconds after which an attempt at a job is ended, even while it waits for Redis, and the job fails with no other
    #: attempt. For an embedded cluster, `--time-limit` sets it. With `--pool threads` or `solo`, there is no limit.
    time_limit: int | None = Field(
        default=None, ge=1, le=MAX_TIME_LIMIT, description="an integer of seconds from 1 to 315360000"
    )
    #: The number of times that a job may hang or take its worker down before it fails.
    max_attempts: int = Field(default=3, ge=1, le=1000, description="an integer from 1 to 1000")
    #: The number of consecutive failed jobs after which a worker takes no more jobs.
    breaker_failures: int = Field(default=5, ge=1, le=1000, description="an integer from 1 to 1000")
    #: Seconds for which Redis keeps results and weights. The state of an unfinished job (attempts, checkpoint,
    #: cancellation) is kept while a worker holds the job, and for at least a week.
    result_expires: int = Field(
        default=7 * 86_400, ge=60, le=315_360_000, description="an integer of seconds from 60 to 315360000"
    )
    #: Bytes of weights that stay in Redis for later sweeps. Older weights are deleted once no unfinished sweep waits
    #: for their job.
    artifact_bytes: int = Field(
        default=64 * 2**20, ge=0, le=2**50, description="an integer of bytes from 0 to 1125899906842624"
    )

    @field_validator("log_dir")
    @classmethod
    def _without_links(cls, log_dir: Path | None) -> Path | None:
        return log_dir and real(log_dir)


def variable(field: str) -> str:
    """Return the environment variable that sets a field."""
    return f"{'CELERY' if field in ('broker_url', 'result_backend') else 'SEEDSWEEP'}_{field.upper()}"


def load_settings() -> Settings:
    """Read the settings. Errors: as for `read_settings`."""
    return read_settings()[0]


def read_settings() -> tuple[Settings, dict[str, str]]:
    """Return the settings, and the file or variable that each comes from if it is not the default.

    Raises:
        InvalidInputError: a value is invalid, a name in a file is unknown, a variable is nearly the name of a setting,
            or a file cannot be read or could have been written by another user.
    """
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for file, fields in _files():
        values |= (read := _read(file, fields))
        origins |= dict.fromkeys(read, str(file))
    # Variables that nearly name a setting are rejected. The containers have others.
    for name in os.environ.keys() - set(map(variable, Settings.model_fields)):
        head, _, field = name.lower().partition("_")
        near = get_close_matches(field[:40], Settings.model_fields, n=1, cutoff=0.75)
        if head == "seedsweep" and near:
            raise InvalidInputError(name, Described("not a setting"), variable(near[0]))
    if os.environ.get(variable("broker_url")):
        # That of a file belongs to the broker of the file.
        values.pop("result_backend", None)
    for field in Settings.model_fields:
        # An empty variable counts as absent.
        if text := os.environ.get(variable(field)):
            values[field], origins[field] = text, variable(field)
    try:
        return Settings.model_validate(values), origins
    except RuntimeError:
        # Raised by `expanduser`: the user has no home folder for the default cache.
        raise InvalidInputError("SEEDSWEEP_CACHE_DIR", Described("missing"), allowed("cache_dir")) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        named = origins[field] if origins[field] == variable(field) else f"{field} in {origins[field]}"
        raise InvalidInputError(named, first["input"], allowed(field)) from None


def allowed(field: str) -> str:
    """Return the values that a field may have, as the end of a sentence."""
    return str(Settings.model_fields[field].description)


def _files() -> Iterator[tuple[Path, list[str]]]:
    """Yield the user's file and the project's, if they exist, each with the fields that it may set."""
    # Not `Path.expanduser`, which raises without a home folder.
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    users, project, fields = Path(home, "seedsweep", FILE), None, list(Settings.model_fields)
    # The working folder may have been removed.
    with contextlib.suppress(OSError):
        folders = (Path.cwd(), *Path.cwd().parents)
        found = [file for folder in folders if os.path.lexists(file := folder / FILE)]
        # Anybody may put one into a folder like /tmp. A container's belongs to root.
        project = next((file for file in found if file.lstat().st_uid in (0, os.geteuid())), None)
    if os.path.lexists(users):
        yield users, fields
    if project not in (None, users):
        yield project, [field for field in fields if field not in USERS_OWN]


def _read(file: Path, fields: list[str]) -> dict[str, object]:
    if not is_private(file, 0):
        raise InvalidInputError(str(file), Described("open to other users"), "a file that only you can write to")
    try:
        content = tomllib.loads(read_regular(file, MAX_FILE_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInputError(str(file), Described("unreadable"), f"a TOML file with settings ({reason})") from None
    for name in content:
        if name in USERS_OWN and name not in fields:
            where = "the environment, or your own file, as a project may be a stranger's"
            raise InvalidInputError(f"{name} in {file}", Described("misplaced"), where)
        if name not in fields:
            raise InvalidInputError(f"a setting in {file}", name, ", ".join(fields) + meant(name, fields))
    return content
