"""Opens a sweep's folder by its path or its name, and finds a job in it with its row and its weights."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from nn.datasets.idx import N_CLASSES
from nn.errors import InvalidInputError, WeightsError
from nn.weights import Weights, load
from orchestrator.analysis.leaderboard import leaderboard
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest, is_name
from worker.job import Job

_KEY_PREFIX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_COORDINATES = re.compile(r"(?P<seed>\d{1,10}):(?P<learning_rate>[0-9.eE+-]{1,30})", re.ASCII)
JOB_WORDS = "the first digits of a job's key, or SEED:LEARNING_RATE such as 3:0.01"


@dataclass(frozen=True)
class TrainedJob:
    """A job of a sweep with what came of it."""

    manifest: Manifest
    job: Job
    row: Row
    weights: Weights


def open_sweep(argument: str, output: Path) -> SweepFolder:
    """Return the folder of a sweep.

    Args:
        argument: The folder's path, or the name of a sweep under `output`.
        output: Where sweeps are kept.

    Raises:
        SweepNotFoundError: neither is there.
    """
    path = Path(argument)
    try:
        if argument and (path / "sweep.json").is_file():
            path = path.resolve()
            return SweepFolder(path.parent, path.name)
        if is_name(argument) and (output / argument / "sweep.json").is_file():
            return SweepFolder(output, argument)
    except (OSError, ValueError):
        pass  # not a path at all
    raise SweepNotFoundError(f"There is no sweep {argument!r}: neither a sweep's folder nor a name in {output}")


def trained_job(folder: SweepFolder, chosen: str | None = None) -> TrainedJob:
    """Return a job of a sweep with its row and its weights.

    Args:
        folder: The sweep's folder.
        chosen: A prefix of its key, or `SEED:LEARNING_RATE`; None for the best job of the leaderboard's first place.

    Raises:
        SweepNotFoundError: the folder holds no sweep, or no result yet.
        InvalidInputError: `chosen` names no job of the sweep, or more than one.
        WeightsError: the job has no weights, or they are missing, damaged, or not those of such a network.
    """
    manifest = folder.manifest()
    jobs = {job.key: job for job in manifest.specification.jobs(manifest.dataset)}
    rows = folder.rows_of(jobs)
    key = _best(folder, jobs, rows) if chosen is None else _find(folder, jobs, chosen)
    row = rows.get(key)
    if row is None or row.weights_sha256 is None:
        why = "it has no result yet" if row is None else f"it is {row.status} ({row.error})"
        raise WeightsError(f"Job {key[:12]} ({jobs[key]}) has no weights: {why}")
    path = folder.weights_path(row.weights_sha256)
    if not folder.has_weights(row.weights_sha256):
        raise WeightsError(f"{path} is missing or damaged: resume the sweep {folder.name} to train the job again")
    weights = load(path)
    expected = (*jobs[key].hidden_layer_sizes, N_CLASSES)
    if weights.layer_sizes[1:] != expected:
        raise WeightsError(f"{path} has layers of {_sizes(weights.layer_sizes[1:])}; the job's have {_sizes(expected)}")
    return TrainedJob(manifest, jobs[key], row, weights)


def _sizes(layers: tuple[int, ...]) -> str:
    return ", ".join(map(str, layers))


def _best(folder: SweepFolder, jobs: dict[str, Job], rows: dict[str, Row]) -> str:
    first = leaderboard(jobs.values(), rows)[0]
    if first.best_seed is None:
        raise SweepNotFoundError(f"The sweep {folder.name} has no result yet")
    coordinates = (first.best_seed, first.learning_rate)
    return next(key for key, job in jobs.items() if (job.seed, job.learning_rate) == coordinates)


def _find(folder: SweepFolder, jobs: dict[str, Job], chosen: str) -> str:
    if match := _COORDINATES.fullmatch(chosen):
        coordinates = (int(match["seed"]), _number(match["learning_rate"]))
        found = [key for key, job in jobs.items() if (job.seed, job.learning_rate) == coordinates]
    elif _KEY_PREFIX.fullmatch(chosen):
        found = [key for key in jobs if key.startswith(chosen)]
    else:
        raise InvalidInputError("the job", chosen, JOB_WORDS)
    if len(found) != 1:
        count = f"{len(found)} jobs begin so" if found else f"the sweep {folder.name} has no such job"
        raise InvalidInputError("the job", chosen, f"{JOB_WORDS} ({count})")
    return found[0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
