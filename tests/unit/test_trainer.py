"""Training a job: when it counts as diverged, and what a test split keeps from it."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from nn import DeepNeuralNetwork
from nn.datasets.mnist import Dataset
from nn.reference import NumPyEngine
from nn.samples import pack
from nn.training import predict
from nn.weights import from_safetensors, to_safetensors
from tests.support.cluster import make_job
from tests.support.datasets import few
from worker.errors import TrainingFailedError
from worker.job import misfit
from worker.records.answers import unpack
from worker.records.checkpoints import Epoch, SavedCheckpoint
from worker.trainers.environment import environment
from worker.training.trainer import train


@pytest.fixture(scope="module")
def dataset(mnist: Dataset) -> Dataset:
    """MNIST with two thousand images for training, and half as many for validation."""
    return few(mnist, 2000, 1000)


def test_weights_that_are_no_numbers_are_a_problem(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    # Two of the job's five epochs: the first leaves all weights finite.
    job = make_job(learning_rate=1e38, limit=1, epochs=5)
    trained = train(job, dataset)
    assert not from_safetensors(trained.weights).is_finite
    assert trained.problem == "diverged: a weight is infinite or not a number"
    assert len(trained.history) == 2
    assert misfit(job, "diverged", [0.5] * 2, ()) is None
    # And resumed from the checkpoint of the first, it ends in the same way
    saved: list[SavedCheckpoint | None] = []
    train(job, dataset, on_epoch=lambda progress: saved.append(progress.checkpoint()))
    assert saved[1] is None
    resumed = train(job, dataset, resume_from=saved[0])
    assert (resumed.weights, resumed.problem, len(resumed.history)) == (trained.weights, trained.problem, 2)
    # while a checkpoint that trained on is not gone on from.
    forged = SavedCheckpoint((Epoch(0.1, 0.1), Epoch(0.1, 0.1)), trained.weights)
    afresh = train(job, dataset, resume_from=forged)
    assert (afresh.weights, len(afresh.history)) == (trained.weights, 2)
    assert "Starts from the first epoch: the checkpoint has a weight that is infinite or not a number" in caplog.text


@pytest.mark.parametrize(
    ("status", "stopped", "complete"),
    [("succeeded", None, [3]), ("succeeded", "why", [1, 2]), ("diverged", None, [1, 2, 3])],
)
def test_only_a_job_that_diverged_or_stopped_may_end_early(
    status: str, stopped: str | None, complete: list[int]
) -> None:
    job = make_job(epochs=3)
    assert [n for n in range(5) if misfit(job, status, [0.5] * n, (), stopped) is None] == complete


def test_to_name_one_class_only_is_a_problem(dataset: Dataset) -> None:
    # A step so large that every unit saturates: the network names one class ever after.
    trained = train(make_job(learning_rate=1e4, limit=2000), dataset)
    assert all(np.isfinite(matrix).all() for matrix in from_safetensors(trained.weights))
    assert trained.problem is not None
    assert trained.problem.startswith("stuck at chance: the validation accuracy of ")


def test_the_notebooks_rule_is_not_blamed_for_not_learning(dataset: Dataset) -> None:
    trained = train(make_job(rule="notebook", engine="numpy", learning_rate=0.001, limit=50, epochs=1), dataset)
    assert len(trained.history[-1].others) == 1
    assert trained.problem is None


@pytest.mark.parametrize(("limit", "split"), [(None, "fixed"), (300, "fixed"), (None, "seed"), (300, "seed")])
def test_no_sample_of_the_test_split_has_a_part_in_training(dataset: Dataset, limit: int | None, split: str) -> None:
    # Given a data set, and another one that differs in the last 40 samples in use
    used = dataset.train.first(limit)
    n_train = len(used) - 40
    others = pack(used.rows(slice(n_train, None)).to_dense()[:, ::-1], np.zeros(40, np.int64), 10)
    spans, labels = dataset.samples.spans.copy(), dataset.samples.labels.copy()
    spans[n_train : len(used)], labels[n_train : len(used)] = others.spans + len(dataset.samples.values), others.labels
    changed = replace(
        dataset.samples,
        spans=spans,
        indices=np.concatenate([dataset.samples.indices, others.indices]),
        values=np.concatenate([dataset.samples.values, others.values]),
        labels=labels,
    )
    other = replace(dataset, samples=changed)
    job = make_job(limit=limit, test_size=40, epochs=1, split=split)

    # Then a job that holds them out trains to the same bits on both, those of the samples before alone,
    trained = train(job, dataset)
    on_other = train(job, other)
    assert trained.problem is None
    assert (trained.weights, trained.correct) == (on_other.weights, on_other.correct)
    if split == "fixed":
        assert trained.weights == train(make_job(limit=n_train, epochs=1), dataset).weights
    # one that does not, to others,
    without = make_job(limit=None, epochs=1, split=split)
    assert train(without, dataset).weights != train(without, other).weights
    # and they are what the test split is.
    network, held_out = from_safetensors(trained.weights), used.rows(slice(n_train, None))
    predicted = predict(NumPyEngine(network, loss="cross_entropy"), held_out)
    tested = job.trained_by.test(job.options, dataset, trained.weights)
    assert tested.value == np.mean(predicted == held_out.labels)
    assert tested.correct == (predicted == held_out.labels).tolist()


@pytest.mark.parametrize("limit", [None, 150])
def test_a_seed_that_draws_the_split_trains_and_validates_on_its_own_samples(
    dataset: Dataset, limit: int | None
) -> None:
    jobs = [make_job(limit=limit, epochs=2, seed=seed, split="seed") for seed in (3, 4)]

    trained = [train(job, dataset) for job in jobs]

    # As one who draws the same split trains it
    drawn = dataset.split_by(3)
    network = DeepNeuralNetwork(epochs=2, learning_rate=jobs[0].options.learning_rate, random_state=3)
    network.fit(drawn.train.first(limit), validation_set=drawn.validation)
    assert to_safetensors(network.weights_) == trained[0].weights
    assert trained[0].history[-1].score == network.history_[-1].validation_accuracy
    right = network.predict(drawn.validation.to_dense()) == drawn.validation.labels
    assert unpack(str(trained[0].correct)).tolist() == right.tolist()
    # and unlike the fixed split, and another seed.
    assert trained[0].weights != train(make_job(limit=limit, epochs=2, seed=3), dataset).weights
    assert trained[0].correct != trained[1].correct


def test_a_test_split_that_leaves_nothing_to_train_on_fails_the_job(dataset: Dataset) -> None:
    # Such a job comes from a message, not from a sweep.
    with pytest.raises(
        TrainingFailedError, match="test_size is 20; allowed: less than 20, the number of samples in use"
    ):
        train(make_job(limit=20, test_size=20), dataset)


def test_an_environment_is_no_longer_than_a_result_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (environment(("numpy", *["x"] * count)) for count in (200, 201))
    assert first != second
    assert max(len(first), len(second)) <= 1000
    # CPUs of one name may have other kernels, of BLAS and of the C library.
    assert any(each.get("architecture", "?") in first for each in threadpool_info())
    environment.cache_clear()
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2")
    assert environment(("numpy", *["x"] * 200)) != first
    environment.cache_clear()
