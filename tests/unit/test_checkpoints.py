"""Checkpoints: what comes back is what was saved, or nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.checkpoint import Checkpoint, EpochRecord
from nn.datasets.mnist import Dataset, load_mnist
from nn.errors import WeightsError
from nn.weights import initial_weights
from tests.support.cluster import make_job
from tests.support.redis_server import RedisServer
from worker.records.checkpoints import Checkpoints, pack, unpack
from worker.records.store import Store
from worker.training.trainer import layer_sizes, train

pytestmark = pytest.mark.compiles

JOB = make_job(rule="notebook")
HISTORY = (EpochRecord(1, 0.25, 0.5, 10.0), EpochRecord(2, 0.125, 0.75, 94.5))
#: The network of `JOB` on images of two pixels.
SIZES = (2, 128, 64, 10)
CHECKPOINT = Checkpoint(initial_weights(SIZES, np.random.RandomState(0), JOB.dtype), HISTORY)
BLOB = pack(JOB, CHECKPOINT)


def test_a_checkpoint_comes_back_as_it_was() -> None:
    found = unpack(JOB, BLOB, SIZES)
    assert found.history == HISTORY
    assert all(np.array_equal(a, b) for a, b in zip(found.weights, CHECKPOINT.weights, strict=True))


def test_another_jobs_checkpoint_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"^the checkpoint belongs to another job$"):
        unpack(make_job(seed=1), BLOB, SIZES)


@pytest.mark.parametrize(
    ("epochs", "sizes", "dtype"),
    [
        (3, SIZES, "float32"),
        (2, (2, 128, 64, 9), "float32"),
        (2, (3, 128, 64, 10), "float32"),
        (2, (2, 64, 64, 10), "float32"),
        (2, SIZES, "float64"),
    ],
)
def test_a_checkpoint_that_bears_the_jobs_name_and_does_not_fit_it_is_refused(
    epochs: int, sizes: tuple[int, int, int, int], dtype: str
) -> None:
    history = tuple(EpochRecord(number, 0.25, 0.5, 10.0) for number in range(1, epochs + 1))
    other = Checkpoint(initial_weights(sizes, np.random.RandomState(0), dtype), history)
    with pytest.raises(WeightsError, match=r"^the checkpoint has .*; the job"):
        unpack(JOB, pack(JOB, other), SIZES)


@pytest.mark.parametrize(
    ("biases", "sentence"),
    [(True, "no biases; the job's network has them"), (False, "biases; the job's network has none")],
)
def test_a_checkpoint_without_the_jobs_biases_or_with_others_is_refused(biases: bool, sentence: str) -> None:
    job = make_job(biases=biases)
    other = Checkpoint(initial_weights(SIZES, np.random.RandomState(0), job.options.dtype, biases=not biases))
    with pytest.raises(WeightsError, match=f"^the checkpoint has {sentence}$"):
        unpack(job, pack(job, other), SIZES)


@pytest.mark.parametrize("value", [b"[1,-0.25,", b"[1,NaN,", b"[1,Infinity,", b"[1,null,"])
def test_seconds_that_no_result_could_have_are_refused(value: bytes) -> None:
    assert BLOB.count(b"[1,0.25,") == 1
    with pytest.raises(WeightsError, match="history is invalid"):
        unpack(JOB, BLOB.replace(b"[1,0.25,", value), SIZES)


@pytest.mark.parametrize("value", [b"null", b"NaN", b"-Infinity"])
def test_a_printed_accuracy_that_no_result_could_have_is_refused(value: bytes) -> None:
    assert BLOB.count(b"94.5") == 1
    with pytest.raises(WeightsError, match="history is invalid"):
        unpack(JOB, BLOB.replace(b"94.5", value), SIZES)


@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_a_damaged_byte_is_refused_or_harmless(position: int, change: int) -> None:
    damaged = bytearray(BLOB)
    damaged[position] ^= change
    try:
        found = unpack(JOB, bytes(damaged), SIZES)
    except WeightsError:
        return
    # Only a digit of the history can change unnoticed; the weights cannot.
    assert position < BLOB.index(b"\n")
    assert all(np.array_equal(a, b) for a, b in zip(found.weights, CHECKPOINT.weights, strict=True))


@given(st.binary(max_size=200) | st.integers(0, len(BLOB)).map(lambda end: BLOB[:end]))
def test_any_other_bytes_are_refused(blob: bytes) -> None:
    if blob != BLOB:
        with pytest.raises(WeightsError):
            unpack(JOB, blob, SIZES)


def test_they_are_kept_by_run_and_go_away(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(Store(redis_server.client(), expires=100))
    assert checkpoints.load("run", JOB, SIZES) is None
    checkpoints.save("run", JOB, CHECKPOINT)
    found = checkpoints.load("run", JOB, SIZES)
    assert found is not None
    assert found.epochs == 2
    redis_server.client().set("seedsweep:checkpoint:run", BLOB[:-1])
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load("run", JOB, SIZES) is None
    assert "Starts from the first epoch: the checkpoint's weights are damaged" in caplog.text
    checkpoints.delete("run")
    assert redis_server.client().keys("*") == []


@pytest.fixture(scope="module")
def dataset(cache_dir: Path) -> Dataset:
    return load_mnist(cache_dir=cache_dir)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"shuffle": True},
        {"rule": "notebook"},
        {"biases": True},
        {"engine": "numpy", "dtype": "float64"},
        {"engine": "numpy", "dtype": "float64", "biases": True},
    ],
)
def test_a_resumed_job_ends_with_the_same_bits(dataset: Dataset, change: dict[str, object]) -> None:
    job = make_job(epochs=3, limit=200, **change)
    saved: list[bytes] = []
    whole = train(job, dataset, on_epoch=lambda network: saved.append(pack(job, network.checkpoint())))
    for blob in saved[:-1]:
        resumed = train(job, dataset, resume_from=unpack(job, blob, layer_sizes(job, dataset)))
        assert resumed.weights == whole.weights
        assert [r.validation_accuracy for r in resumed.history] == [r.validation_accuracy for r in whole.history]
