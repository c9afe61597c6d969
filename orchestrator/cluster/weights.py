"""Fetches a job's weights from the cluster: whoever may write to Redis may have stored them, and the result."""

from __future__ import annotations

from nn.datasets.idx import MAX_SIDE, N_CLASSES
from nn.datasets.mnist import MNIST_DIGEST, MNIST_FEATURES
from nn.errors import WeightsError
from nn.weights import from_safetensors, max_blob_bytes, misfit
from worker.job import Job, Result
from worker.records.store import Store


def fetch_weights(store: Store, job: Job, result: Result) -> bytes:
    """Return the weights that a job's result names, as safetensors: a network with the job's layers and dtype.

    Raises:
        WeightsError: the weights are not in the store, do not match their hash and size, or are not such a network.
    """
    n_features = MNIST_FEATURES if job.dataset == MNIST_DIGEST else None
    largest = max_blob_bytes((n_features or MAX_SIDE**2, *job.hidden_layer_sizes, N_CLASSES), job.dtype)
    if result.weights_bytes > largest:
        raise WeightsError(
            f"the result names weights of {result.weights_bytes} bytes; the job's have at most {largest}"
        )
    blob = store.weights(result.weights_sha256, result.weights_bytes)
    expected = (n_features, *job.hidden_layer_sizes, N_CLASSES)
    difference = misfit(from_safetensors(blob), expected, job.dtype, biases=job.biases)
    if difference is not None:
        raise WeightsError(f"the stored weights {result.weights_sha256} have {difference}")
    return blob
