"""Sweep folders with two jobs, made without a sweep."""

from __future__ import annotations

from pathlib import Path

from nn.datasets.mnist import MNIST_DIGEST
from nn.weights import digest
from orchestrator.folder.rows import Row, accepted_row
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.sweeps import manifest_of, sweep_of
from worker.job import Job, Result

SPECIFICATION = sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=1)
JOBS = SPECIFICATION.jobs(MNIST_DIGEST)
#: Safetensors without a tensor.
BLOB = (2).to_bytes(8, "little") + b"{}"


def made(output: Path, name: str = "a") -> SweepFolder:
    folder = SweepFolder(output, name)
    folder.create(manifest_of(SPECIFICATION, name))
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def row(job: Job, blob: bytes = BLOB) -> Row:
    result = Result(
        job=job.key,
        status="succeeded",
        validation_score=[0.5],
        epoch_seconds=[0.25],
        weights_sha256=digest(blob),
        weights_bytes=len(blob),
        worker="w@host",
        attempts=1,
    )
    return accepted_row(job, result)
