"""Checkpoints: what comes back is what was saved, or nothing."""

from typing import Any

import numpy as np
import pytest

from nn.datasets.mnist import Dataset
from nn.errors import WeightsError
from nn.weights import initial_weights, to_safetensors
from tests.support.cluster import make_job
from tests.support.datasets import few
from worker.job import Job
from worker.records.checkpoints import Epoch, SavedCheckpoint, pack, unpack
from worker.training.trainer import train

JOB = make_job(rule="notebook", epochs=3)
#: Trained without compiling, and quickly.
IN_NUMPY: dict[str, Any] = {"engine": "numpy", "hidden_layer_sizes": (32, 16)}
HISTORY = (Epoch(0.25, 0.5, (10.0,)), Epoch(0.125, 0.75, (94.5,)))
CHECKPOINT = SavedCheckpoint(HISTORY, bytes(range(256)))
BLOB = pack(JOB, CHECKPOINT)


@pytest.mark.parametrize(
    ("job", "history", "why"),
    [
        (make_job(seed=1), HISTORY, "^the checkpoint belongs to another job$"),
        *((JOB, HISTORY[:1] * n, f"^the checkpoint has {n} epochs; the job has 3$") for n in (0, 3, 4)),
        # Without the job's further metric
        (JOB, (Epoch(0.25, 0.5),), "history is invalid"),
    ],
)
def test_a_checkpoint_comes_back_as_it_was_or_is_refused(job: Job, history: tuple[Epoch, ...], why: str) -> None:
    assert unpack(JOB, BLOB) == CHECKPOINT
    with pytest.raises(WeightsError, match=why):
        unpack(job, pack(JOB, SavedCheckpoint(history, CHECKPOINT.state)))


@pytest.mark.parametrize(
    ("written", "forged"),
    [
        (b"[1,0.25,", b"[" + b"[]," * 1000 + b"1,0.25,"),
        *((b"[1,0.25,", b"[1,%s," % seconds) for seconds in (b"-0.25", b"NaN", b"Infinity", b"null")),
        *((b"94.5", printed) for printed in (b"null", b"NaN", b"-Infinity")),
    ],
)
def test_a_number_that_no_result_could_have_is_refused(written: bytes, forged: bytes) -> None:
    assert BLOB.count(written) == 1
    with pytest.raises(WeightsError, match="history is invalid"):
        unpack(JOB, BLOB.replace(written, forged))


@pytest.mark.parametrize("change", [0x01, 0x80])
def test_a_damaged_byte_is_refused_or_harmless(change: int) -> None:
    for position in range(len(BLOB)):
        damaged = bytearray(BLOB)
        damaged[position] ^= change
        try:
            found = unpack(JOB, bytes(damaged))
        except WeightsError:
            continue
        # Only a digit of the history can change unnoticed; the state cannot.
        assert position < BLOB.index(b"\n")
        assert found.state == CHECKPOINT.state
    # A part is refused.
    for end in range(len(BLOB)):
        with pytest.raises(WeightsError):
            unpack(JOB, BLOB[:end])


@pytest.fixture(scope="module")
def dataset(mnist: Dataset) -> Dataset:
    """MNIST with a few images to validate with, which takes longer than to train."""
    return few(mnist, mnist.n_train, 50)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"shuffle": True, "split": "seed"},
        {"rule": "notebook", **IN_NUMPY},
        {"dtype": "float64", **IN_NUMPY},
        {"dtype": "float64", "biases": True, "shuffle": True, **IN_NUMPY},
    ],
)
def test_a_resumed_job_ends_with_the_same_bits(dataset: Dataset, change: dict[str, object]) -> None:
    job = make_job(epochs=3, limit=100, **change)
    found: list[SavedCheckpoint | None] = []
    whole = train(job, dataset, on_epoch=lambda progress: found.append(progress.checkpoint()))
    saved = [unpack(job, pack(job, checkpoint)) for checkpoint in found if checkpoint is not None]
    assert [len(each.history) for each in saved] == [1, 2]
    for checkpoint in saved:
        resumed = train(job, dataset, resume_from=checkpoint)
        assert (resumed.weights, resumed.correct) == (whole.weights, whole.correct)
        assert [each[1:] for each in resumed.history] == [each[1:] for each in whole.history]


def test_a_job_starts_afresh_from_a_checkpoint_of_another_network(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(epochs=2, limit=50, **IN_NUMPY)
    state = to_safetensors(initial_weights((784, 16, 16, 10), np.random.RandomState(0), "float32"))
    whole = train(job, dataset)
    again = train(job, dataset, resume_from=SavedCheckpoint((Epoch(0.25, 0.5),), state))
    assert again.weights == whole.weights
    assert [each[1:] for each in again.history] == [each[1:] for each in whole.history]
    assert "Starts from the first epoch: the checkpoint belongs to another job" in caplog.text
