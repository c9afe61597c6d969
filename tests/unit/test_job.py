"""The job: what names it, what it refuses, and in which words."""

import math
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from nn.options.network import NetworkOptions
from worker.app import create_app
from worker.errors import JobRefusedError
from worker.job import MAX_JOB_BYTES, Job, Result, task_id
from worker.messages import Line, accept, signature
from worker.settings import Settings
from worker.trainers.protocol import Metric

DATASET = "ab" * 32
FIELDS: dict[str, Any] = {"seed": 3, "learning_rate": 0.01, "dataset": DATASET}
FLOAT64: dict[str, Any] = {
    "seed": 2, "learning_rate": 1e-5, "loss": "sum_of_squares", "dtype": "float64", "shuffle": True,
    "engine": "numpy", "hidden_layer_sizes": [32, 16], "dataset": MNIST_DIGEST,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        (FIELDS, "69b203d42a10a85ab1d03f8c360a3d33e5b1228640550d9bc609ba11ec2332e9"),
        (
            {"seed": 0, "learning_rate": 0.01, "dataset": MNIST_DIGEST},
            "1378fc2fc191891814955f223f45e498d2a21f19bab19d141e0f350c8fb542ea",
        ),
        (
            {"seed": 2**32 - 1, "learning_rate": 0.003, "epochs": 100_000, "dataset": MNIST_DIGEST},
            "00dc9de1a92523cce076338026cf3dea4f5d9644474a96d357fd9c73b133719b",
        ),
        (
            {"seed": 1, "learning_rate": 0.1, "rule": "notebook", "limit": 1000, "dataset": MNIST_DIGEST},
            "3a41a929ebd0ef89524d48bcee262e963d007883a686aa588af7eb5fdad266ea",
        ),
        (FLOAT64, "58ce55dbd45f7876bcf62fd072cef0968d692e547f1025ff45d93bf3cb34354e"),
        (
            {"seed": 3, "learning_rate": 1, "limit": 7, "epochs": 1, "dataset": MNIST_DIGEST},
            "344eda6197335035eda922ec6c67fab5b9025d3b0f6764fa334e559b80c8a0da",
        ),
    ],
)  # fmt: skip
def test_keys_are_pinned(fields: dict[str, Any], key: str) -> None:
    # Another key makes every stored result unfindable: raise `version` instead.
    assert Job.parse(fields).key == key


def test_float64_jobs_of_version_1_can_be_named_but_not_trained() -> None:
    assert [Job.parse(each).version for each in (FIELDS, FLOAT64)] == [1, 2]
    assert Job.parse(FIELDS).at(1) == Job.parse(FIELDS)
    assert Job.parse(FLOAT64).configuration.version == 2
    earlier = Job.parse(FLOAT64).at(1)

    assert earlier.key == "2d95e68f27df78063d3c918dd498fae3866952dc1ea00762f1d70c426437823d"
    assert not earlier.is_current
    with pytest.raises(InvalidInputError, match=r"^version is 1; allowed: 2, the version of such jobs that the "):
        Job.parse(earlier.fields())


def test_every_field_is_part_of_the_key_and_none_counts_twice() -> None:
    assert Job.parse(FIELDS | {"epochs": 10, "hidden_layer_sizes": [128, 64]}).key == Job.parse(FIELDS).key
    changes: dict[str, Any] = {
        "seed": 4, "learning_rate": 0.011, "epochs": 11, "hidden_layer_sizes": [128, 65], "rule": "notebook",
        "loss": "sum_of_squares", "dtype": "float64", "shuffle": True, "biases": True, "engine": "numpy", "limit": 100,
        "dataset": "cd" * 32, "initialization": "he", "initial_scale": 2.0, "test_size": 5,
        "split": "seed",
    }  # fmt: skip
    keys = {Job.parse(FIELDS | {name: value}).key for name, value in changes.items()}
    assert len(keys | {Job.parse(FIELDS).key}) == len(changes) + 1
    assert changes.keys() == {*Job.model_fields, *NetworkOptions.model_fields} - {"trainer", "version", "options"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 2**32}, "seed is 4294967296; allowed: an integer from 0 to 4294967295"),
        ({"learning_rate": 0}, "learning_rate is 0; allowed: a finite number greater than 0"),
        ({"epochs": 0}, "epochs is 0; allowed: an integer from 1 to 100000"),
        ({"hidden_layer_sizes": [128, 0]}, "hidden_layer_sizes.1 is 0; allowed: two integers from 1 to 4096"),
        ({"hidden_layer_sizes": [9]}, "hidden_layer_sizes.1 is missing; allowed: two integers from 1 to 4096"),
        ({"limit": 0}, "limit is 0; allowed: an integer from 1 to 2147483647, or none"),
        ({"dataset": "mnist"}, "dataset is 'mnist'; allowed: a SHA-256 as 64 hexadecimal digits in lower case"),
        ({"version": 2}, "version is 2; allowed: 1, the version of such jobs that the trainer network trains here"),
    ],
)
def test_what_is_no_job_is_refused_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        Job.parse(FIELDS | change)
    assert str(refusal.value) == sentence


def test_fields_that_are_missing_unknown_or_too_large_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^learning_rate is missing; allowed: a finite number greater than 0$"):
        Job.parse({"seed": 1, "dataset": DATASET})
    with pytest.raises(InvalidInputError, match=r"^momentum is 0\.9; allowed: only the fields learning_rate, epochs, "):
        Job.parse(FIELDS | {"momentum": 0.9})
    with pytest.raises(InvalidInputError, match=r"^job is \d+ bytes; allowed: at most 4096 bytes of JSON$"):
        Job.parse(FIELDS | {"rule": "x" * MAX_JOB_BYTES})
    # kombu reads such a number from a message; as an integer, it would take minutes.
    with pytest.raises(InvalidInputError, match=r"^job is not plain JSON; allowed: at most 4096 bytes of JSON$"):
        Job.parse(FIELDS | {"seed": Decimal("1E+999999999")})


def test_a_task_id_names_its_job() -> None:
    job, other = Job.parse(FIELDS), Job.parse(FIELDS | {"seed": 4})
    assert task_id(job) == job.key
    assert accept(task_id(job, "verify-7"), job.fields()) == job
    for name in (task_id(other, "verify-7"), task_id(job, "No Spaces"), f"{job.key}\n"):
        with pytest.raises(JobRefusedError, match=r"^the task id is "):
            accept(name, job.fields())


def test_a_job_is_shown_by_what_tells_it_from_its_neighbours() -> None:
    assert str(Job.parse(FIELDS)) == "seed=3 learning_rate=0.01"
    job = Job.parse(FIELDS | {"shuffle": True, "limit": 5, "hidden_layer_sizes": (256, 64), "learning_rate": 0.1 + 0.2})
    assert str(job) == "seed=3 learning_rate=0.30000000000000004 hidden=256,64 shuffle=true limit=5"
    # What varies in its sweep comes first, also at its default.
    assert Job.parse(FIELDS).words(("limit", "loss")) == "seed=3 loss=cross_entropy limit=none learning_rate=0.01"


def test_a_message_describes_its_job_in_one_bounded_line(monkeypatch: pytest.MonkeyPatch) -> None:
    app, job = create_app(Settings()), Job.parse(FIELDS)
    assert signature(app, job, varying=["loss"]).options["kwargsrepr"] == "seed=3 loss=cross_entropy learning_rate=0.01"
    # Whatever an option may hold one day, the gate's model accepts the line.
    monkeypatch.setattr(Job, "words", lambda *_: "label=\x1b]0;\u2028é\n" * 1000)
    line = signature(app, job).options["kwargsrepr"]
    assert TypeAdapter(Line).validate_python(line) == line
    assert line.startswith("label=\\x1b]0;\\u2028\\xe9\\nlabel=")


RESULT: dict[str, Any] = {
    "job": "0" * 64,
    "status": "succeeded",
    "validation_score": [0.9, 0.9512],
    "epoch_seconds": [1.0, 0.5],
    "weights_sha256": "1" * 64,
    "weights_bytes": 5,
    "worker": "celery@host",
    "attempts": 2,
}


@pytest.mark.parametrize(
    "change",
    [
        {"validation_score": []},
        {"validation_score": [], "epoch_seconds": []},
        {"validation_score": [0.9, math.nan]},
        {"epoch_seconds": [1.0]},
        {"epoch_seconds": [1.0, -0.5]},
        {"epoch_seconds": [1.0, math.nan]},
        {"others": {"notebook_accuracy": [94.5]}},
        {"others": {"notebook_accuracy": [94.5, math.inf]}},
        {"others": {"Note\nbook": [94.5, 94.5]}},
        {"attempts": 10**4000},
    ],
)
def test_a_result_is_whole(change: dict[str, Any]) -> None:
    Result(**RESULT)
    with pytest.raises(ValidationError):
        Result(**RESULT | change)


def test_a_result_shows_its_accuracy_first() -> None:
    result = Result(**RESULT)
    assert repr(result) == "succeeded: validation score 0.9512 after 2 epochs in 1.50 s, attempt 2"
    measured = Result(**RESULT).measured_by(Metric(name="validation accuracy", is_share=True))
    assert repr(measured) == "succeeded: validation accuracy 95.12 % after 2 epochs in 1.50 s, attempt 2"
    assert Result.model_validate(result.__json__()) == result
