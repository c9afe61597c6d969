"""`weights`: returns the weights of a job, after training it again if its sweep's folder lacks them."""

from __future__ import annotations

from pathlib import Path

from orchestrator.analysis.lookup import artifact, load_data, weights_of
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Tell, ignore
from orchestrator.text import counted
from worker.job import Job
from worker.training.trainer import train


def restore(sweep: Sweep, job: Job, cache_dir: Path, tell: Tell = ignore) -> bytes:
    """Return the weights of a job; if the folder lacks them, train it in this process, and write them there.

    Args:
        sweep: The sweep.
        job: One of its jobs.
        cache_dir: Where prepared data sets are kept.
        tell: Receives a sentence before the job is trained.

    Raises:
        WeightsError: the job has no result, or trains to other weights here.
        DatasetError: the data set is missing, or is not the one that the sweep was trained on.
        SweepBusyError: another process works on the sweep.
        OutputError: the folder cannot be written.
        TrainingFailedError: the trainer fails.
    """
    folder, sha256 = sweep.folder, weights_of(sweep, job.key)
    fault = folder.weights_fault(job, sha256)
    if fault is not None and job.is_current:
        # Locked before the job is trained: its weights would be lost if the folder cannot be written.
        with folder.exclusive():
            data = load_data(sweep.manifest, job, cache_dir)
            job.trained_by.prepare(data)
            tell(f"{folder.weights_path(sha256)} is {fault}: training the job again, {counted(job.epochs, 'epoch')}")
            folder.keep_weights(sha256, train(job, data).weights)
    return artifact(folder, job, sha256)
