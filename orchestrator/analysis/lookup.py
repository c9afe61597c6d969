"""Opens a sweep folder by its path or its name, and finds one of its jobs with its row and its weights.

A job is named by a prefix of its key, by `SEED:LEARNING_RATE`, or by its seed alone where that leaves no doubt.
"""

from __future__ import annotations

import errno
import math
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nn.datasets.idx import N_CLASSES
from nn.errors import InvalidInputError, WeightsError
from nn.weights import Weights, load, misfit
from orchestrator.analysis.leaderboard import leaderboard
from orchestrator.errors import SweepNotFoundError, SweepUnreadableError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest, is_name
from worker.job import Job

_KEY_PREFIX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
#: As numbers are printed: the key prefix 007 is not the seed 7.
_SEED = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)
_COORDINATES = re.compile(r"(?P<seed>\d{1,10}):(?P<learning_rate>[0-9.eE+-]{1,30})", re.ASCII)
JOB_WORDS = "a seed, SEED:LEARNING_RATE such as 3:0.01, or the first digits of a job's key"
#: The system's errors for a path that leads nowhere, or that cannot be a path.
_NO_SUCH_PATH = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
#: How many jobs a message lists as examples.
_EXAMPLES = 3


@dataclass(frozen=True)
class TrainedJob:
    """A job of a sweep with its result.

    Attributes:
        manifest: The sweep.
        job: The job.
        row: The job's row in `results.jsonl`; it has a result.
        weights: The trained network; its layers have the sizes that the job asks for, and biases if it asks for them.
    """

    manifest: Manifest
    job: Job
    row: Row
    weights: Weights


def open_sweep(argument: str, output: Path) -> SweepFolder:
    """Return the folder of a sweep.

    Args:
        argument: The path of a sweep folder, or the name of a sweep in `output`.
        output: The folder of all sweeps.

    Raises:
        SweepNotFoundError: there is no such folder, and no such name.
        SweepUnreadableError: a folder on the way is closed to this user.
    """
    try:
        if argument and _is_sweep(Path(argument)):
            path = Path(argument).resolve()
            return SweepFolder(path.parent, path.name)
        if is_name(argument) and _is_sweep(output / argument):
            return SweepFolder(output, argument)
    except ValueError:
        pass  # No path has a NUL character, and no sweep has such a name.
    raise SweepNotFoundError(f"There is no sweep {argument!r}: neither a sweep folder nor a name in {output}")


def _is_sweep(folder: Path) -> bool:
    # Not `Path.is_file`, which says no to some errors of the disk, too.
    try:
        return stat.S_ISREG((folder / "sweep.json").stat().st_mode)
    except OSError as error:
        if error.errno in _NO_SUCH_PATH:
            return False
        raise SweepUnreadableError(folder, error) from None


def trained_job(folder: SweepFolder, chosen: str | None = None) -> TrainedJob:
    """Return a job of a sweep with its row and its weights.

    Args:
        folder: The sweep's folder.
        chosen: The job, see `find_job`; None for the best seed of the leaderboard's first configuration.

    Raises:
        SweepNotFoundError: the folder contains no sweep, or no result yet.
        SweepUnreadableError: the folder cannot be read.
        InvalidInputError: `chosen` names no job of the sweep, or more than one.
        WeightsError: the job has no weights, or they are missing, damaged, or of another network.
    """
    manifest = folder.manifest()
    jobs = manifest.jobs_by_key()
    rows = folder.rows_of(jobs)
    key = _best(folder, jobs, rows) if chosen is None else find_job(folder.name, jobs, chosen)
    row = rows.get(key)
    if row is None or row.weights_sha256 is None:
        why = "it has no result yet" if row is None else f"it is {row.status} ({row.error})"
        raise WeightsError(f"Job {key[:12]} ({jobs[key]}) has no weights: {why}")
    return TrainedJob(manifest, jobs[key], row, _weights(folder, jobs[key], row.weights_sha256))


def _weights(folder: SweepFolder, job: Job, sha256: str) -> Weights:
    path = folder.weights_path(sha256)
    fault = folder.weights_fault(sha256)
    if fault is not None:
        raise WeightsError(f"{path} is {fault}: resume the sweep {folder.name} to train the job again")
    weights = load(path)
    difference = misfit(weights, (None, *job.hidden_layer_sizes, N_CLASSES), job.dtype, biases=job.biases)
    if difference is not None:
        raise WeightsError(f"{path} has {difference}")
    return weights


def _best(folder: SweepFolder, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> str:
    first = leaderboard(jobs.values(), rows)[0]
    if first.best_seed is None:
        raise SweepNotFoundError(f"The sweep {folder.name} has no result yet")
    coordinates = (first.best_seed, first.learning_rate)
    return next(key for key, job in jobs.items() if (job.seed, job.learning_rate) == coordinates)


def find_job(sweep: str, jobs: Mapping[str, Job], chosen: str) -> str:
    """Return the key of the job that a user named.

    Digits that are a seed of the sweep name the seed, also where a key begins with them.

    Args:
        sweep: The sweep's name, for messages.
        jobs: The sweep's jobs, by key.
        chosen: A seed, `SEED:LEARNING_RATE`, or a prefix of a key.

    Raises:
        InvalidInputError: no job is named so, or more than one.
    """
    if _SEED.fullmatch(chosen):
        of_seed = [key for key, job in jobs.items() if job.seed == int(chosen)]
        if of_seed:
            return _only(jobs, of_seed, chosen, f"{len(of_seed)} jobs have the seed {chosen}")
    if match := _COORDINATES.fullmatch(chosen):
        coordinates = (int(match["seed"]), _number(match["learning_rate"]))
        found = [key for key, job in jobs.items() if (job.seed, job.learning_rate) == coordinates]
    elif _KEY_PREFIX.fullmatch(chosen):
        found = [key for key in jobs if key.startswith(chosen)]
    else:
        raise InvalidInputError("the job", chosen, JOB_WORDS)
    if not found:
        raise InvalidInputError("the job", chosen, f"{JOB_WORDS} (the sweep {sweep} has no such job)")
    return _only(jobs, found, chosen, f"{len(found)} keys begin with {chosen}")


def _only(jobs: Mapping[str, Job], found: list[str], chosen: str, count: str) -> str:
    if len(found) > 1:
        names = [f"{jobs[key].seed}:{jobs[key].learning_rate:g}" for key in found[:_EXAMPLES]]
        more = ", ..." if len(found) > _EXAMPLES else ""
        raise InvalidInputError("the job", chosen, f"the name of one job, such as {', '.join(names)}{more} ({count})")
    return found[0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
