"""Rows and sweep folders, made without a sweep."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.random import RandomState

from nn.datasets.mnist import MNIST_DIGEST
from nn.files import digest
from nn.weights import initial_weights, to_safetensors
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row, accepted_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweeps import manifest_of, sweep_of
from worker.job import Job, Result

#: Two jobs.
SPECIFICATION = sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=1)
JOBS = SPECIFICATION.jobs(MNIST_DIGEST)
BY_KEY = {job.key: job for job in JOBS}
#: Weights to which each of them could train.
BLOB = to_safetensors(initial_weights((784, 128, 64, 10), RandomState(0), "float32"))


def result(job: Job, *scores: float, blob: bytes = BLOB, **fields: Any) -> Result:
    """Return the result of a job with these scores, one an epoch, and these weights, but for the given fields."""
    usual = {
        "job": job.key, "status": "succeeded", "validation_score": scores, "epoch_seconds": [0.25] * len(scores),
        "weights_sha256": digest(blob), "weights_bytes": len(blob), "worker": "w@host", "attempts": 1,
    }  # fmt: skip
    return Result.model_validate(usual | fields)


def row(job: Job, blob: bytes = BLOB, scores: tuple[float, ...] = (0.5,), **fields: Any) -> Row:
    """Return the row of a job with such a result."""
    return accepted_row(job, result(job, *scores, blob=blob, **fields))


def filled(
    output: Path,
    specification: SweepSpecification,
    ended: Callable[[Job], Row | None],
    *,
    name: str = "a",
    dataset: str = MNIST_DIGEST,
) -> SweepFolder:
    """Make the folder of a sweep whose jobs ended so; None for one that has not."""
    folder = SweepFolder(output, name)
    rows = map(ended, specification.jobs(dataset))
    with folder.exclusive(manifest_of(specification, name, dataset)):
        (folder.path / "results.jsonl").write_text("".join(row.line() for row in rows if row is not None))
    return folder


def snapshot_of(output: Path, specification: SweepSpecification, ended: Callable[[Job], Row | None]) -> Sweep:
    """Return a sweep whose jobs ended so, read from its folder."""
    return Sweep.read(filled(output, specification, ended))


def unsaved(jobs: Mapping[str, Job], rows: Mapping[str, Row] = MappingProxyType({}), *axes: str) -> Sweep:
    """Return a sweep of jobs, by key, that has no folder; `axes` vary even if these jobs all have one value."""
    folder, manifest = SweepFolder(Path("runs"), "a"), manifest_of(SPECIFICATION)
    return replace(Sweep.of(folder, manifest, jobs, rows), axes=axes)


def made(output: Path, name: str = "a", *ended: Job) -> SweepFolder:
    """Make the folder of a sweep of two jobs, of which these have ended with the weights `BLOB`."""
    folder = SweepFolder(output, name)
    with folder.exclusive(manifest_of(SPECIFICATION, name)):
        if ended:
            folder.keep_weights(digest(BLOB), BLOB)
            folder.append(*map(row, ended))
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
