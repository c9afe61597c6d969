"""Fetches a job's weights from the cluster: whoever may write to Redis may have stored them, and the result."""

from __future__ import annotations

from nn.errors import WeightsError
from worker.job import Job, Result
from worker.records.store import Store


def fetch_weights(store: Store, job: Job, result: Result) -> bytes:
    """Return the weights that a job's result names, which its trainer has checked.

    Raises:
        WeightsError: the weights are not in the store, do not match their hash and size, or are not the job's.
    """
    trainer = job.trained_by
    largest = trainer.max_bytes(job.options, job.dataset)
    if result.weights_bytes > largest:
        raise WeightsError(
            f"the result names weights of {result.weights_bytes} bytes; the job's have at most {largest}"
        )
    blob = store.weights(result.weights_sha256, result.weights_bytes)
    try:
        trainer.check_artifact(job.options, job.dataset, blob)
    except WeightsError as error:
        raise WeightsError(f"the stored weights {result.weights_sha256} are not the job's: {error}") from None
    return blob
