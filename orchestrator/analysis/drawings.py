"""What trainers draw of their models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from orchestrator.analysis.held_out import load_data
from orchestrator.analysis.lookup import artifact, weights_of
from orchestrator.analysis.sweep import Sweep
from worker.errors import TrainerUnusableError
from worker.job import Job
from worker.trainers.protocol import Drawing, Trainer


def draws(job: Job) -> bool:
    """Return whether the trainer of a job draws its models."""
    return type(job.trained_by).drawings is not Trainer.drawings


def drawings(sweep: Sweep, job: Job, cache_dir: Path) -> Sequence[Drawing]:
    """Return what its trainer draws of the model of a sweep's job.

    Raises:
        WeightsError: the job has no weights, or they are missing, damaged, or not a model of this trainer.
        DatasetError: the data set is needed, and missing or another one.
        TrainerUnusableError: the trainer raises an exception, or returns something else.
    """
    blob = artifact(sweep.folder, job, weights_of(sweep, job.key))
    job.trained_by.check_artifact(job.options, job.dataset, blob)
    found = job.trained_by.drawings(job.options, blob, partial(load_data, sweep.manifest, job, cache_dir))
    if not isinstance(found, Sequence) or not all(isinstance(each, Drawing) for each in found):
        raise TrainerUnusableError(f"The trainer {job.trainer} is broken: its drawings are not all of type Drawing")
    return found
