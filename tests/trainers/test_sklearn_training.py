"""Training scikit-learn's estimators: the same bits, epochs, resuming, divergence, artifacts, and a whole sweep."""

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from nn.errors import InvalidInputError, WeightsError
from nn.files import digest
from seedsweep import Checkpoint
from tests.support.command_line import CommandLine
from tests.trainers.sklearn_jobs import TRAINER, check, read, toy, train
from worker.trainers.sklearn.estimators import Estimator, estimators

#: Those that refuse the toy sets, whatever their options.
REFUSED = {
    "CCA", "IsotonicRegression", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV",
    "PLSCanonical",
}  # fmt: skip
UNSTANDARDIZED = {"CategoricalNB", "ComplementNB", "MultinomialNB"}
DATA = {"classifier": "iris", "regressor": "diabetes"}
EPOCHS = [
    ("digits", {"estimator": "SGDClassifier"}),
    ("digits", {"estimator": "SGDClassifier", "average": True, "loss": "log_loss"}),
    ("digits", {"estimator": "SGDClassifier", "average": 4000, "penalty": "l1"}),
    ("breast_cancer", {"estimator": "SGDClassifier", "average": 700, "learning_rate": "adaptive"}),
    ("iris", {"estimator": "Perceptron", "penalty": "elasticnet"}),
    ("iris", {"estimator": "PassiveAggressiveClassifier", "average": True}),
    ("digits", {"estimator": "MLPClassifier", "hidden_layer_sizes": (16, 8)}),
    ("iris", {"estimator": "MLPClassifier", "solver": "sgd", "learning_rate": "invscaling"}),
    ("iris", {"estimator": "MLPClassifier", "solver": "sgd", "learning_rate": "adaptive", "nesterovs_momentum": False}),
    ("diabetes", {"estimator": "SGDRegressor", "average": 600}),
    ("diabetes", {"estimator": "PassiveAggressiveRegressor"}),
    ("diabetes", {"estimator": "MLPRegressor", "hidden_layer_sizes": 8}),
]


@pytest.mark.slow(reason="fits every estimator of scikit-learn's list three times")
def test_every_estimator_trains_to_the_same_bits_or_is_refused() -> None:
    for name, found in estimators().items():
        data, values = DATA[found.kind], {"estimator": name, "standardize": name not in UNSTANDARDIZED}
        if name in REFUSED:
            with pytest.raises(InvalidInputError, match="allowed: what it can be fitted with"):
                check(data, **values)
        else:
            check(data, **values)
            _trains_to_the_same_bits(found, data, values)


def _trains_to_the_same_bits(found: Estimator, data: str, values: dict[str, Any]) -> None:
    before = np.random.get_state()[1].tobytes()
    first, second = (train(data, **values) for _ in range(2))
    assert np.random.get_state()[1].tobytes() == before, found.name
    assert (first.values, first.trained) == (second.values, second.trained), found.name
    options = read(**values)
    TRAINER.check_artifact(options, toy(data).digest, first.trained.artifact)
    if first.trained.problem is None:
        assert len(first.values) == TRAINER.epochs(options), found.name
        assert safetensors.numpy.load(first.trained.artifact), found.name
    else:
        assert found.name == "RadiusNeighborsRegressor"
    if "random_state" not in found.defaults and not found.in_epochs:
        assert train(data, seed=2, **values).trained == first.trained, found.name


@pytest.mark.parametrize(("data", "values"), EPOCHS)
def test_resuming_after_any_epoch_gives_the_same_bits(data: str, values: dict[str, Any]) -> None:
    values = {**values, "epochs": 5}
    straight = train(data, **values)
    assert len(straight.values) == 5
    for epochs in range(1, 5):
        state = straight.states[epochs - 1]
        assert state is not None
        resumed = train(data, resume_from=Checkpoint(epochs, state), **values)
        assert resumed.trained == straight.trained
        assert resumed.values == straight.values[epochs:]
        assert resumed.states == straight.states[epochs:]
    assert straight.states[-1] is None


def test_an_estimator_that_draws_from_the_global_generator_neither_sees_it_nor_changes_it() -> None:
    np.random.seed(7)
    first = train("diabetes", estimator="NuSVR")
    drawn = np.random.random_sample()
    np.random.seed(7)
    assert np.random.random_sample() == drawn
    assert train("diabetes", estimator="NuSVR").trained == first.trained


def test_an_epoch_is_one_pass_over_the_training_samples() -> None:
    artifact = train("iris", estimator="SGDClassifier", epochs=3).trained.artifact
    assert metadata(artifact)["values"]["t_"] == 1 + 3 * toy("iris").n_train
    assert safetensors.numpy.load(artifact)["coef_"].shape == (3, 4)


def test_the_metric_of_a_regressor_is_r2_with_the_mean_squared_error_beside_it() -> None:
    run = train("diabetes", estimator="LinearRegression")
    (value,), (others,) = run.values, run.others
    residual = others["mean_squared_error"] / np.var(toy("diabetes").targets("regressor")[1])
    assert value == pytest.approx(1 - residual)
    assert run.trained.correct is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"estimator": "SGDRegressor", "eta0": 1e200, "learning_rate": "constant"}, "diverged: "),
        ({"estimator": "MLPRegressor", "solver": "sgd", "learning_rate_init": 1e200}, "diverged: "),
        # A finite metric that is no metric of a job any more.
        ({"estimator": "SGDRegressor", "eta0": 1e50, "learning_rate": "constant"}, "diverged: a metric is beyond 1e+1"),
        (
            {"estimator": "RadiusNeighborsRegressor", "radius": 1e-6},
            "diverged: a prediction is infinite or not a number",
        ),
    ],
)
def test_divergence_is_a_stated_problem_and_no_exception(values: dict[str, Any], said: str) -> None:
    run = train("diabetes", **values)
    assert run.trained.problem is not None
    assert run.trained.problem.startswith(said)
    assert np.isfinite(run.values).all()
    TRAINER.check_artifact(read(**values), "", run.trained.artifact)
    assert train("diabetes", **values).trained == run.trained


def test_a_job_that_cannot_be_fitted_raises_its_reason() -> None:
    with pytest.raises(InvalidInputError, match="estimator is 'SVC'; allowed: a regressor for this data set"):
        train("diabetes", estimator="SVC")
    with pytest.raises(ValueError, match="n_neighbors"):
        train("iris", estimator="KNeighborsClassifier", n_neighbors=100_000)


# Artifacts


def metadata(artifact: bytes) -> dict[str, Any]:
    length = int.from_bytes(artifact[:8], "little")
    about: dict[str, Any] = json.loads(json.loads(artifact[8 : 8 + length])["__metadata__"]["seedsweep"])
    return about


def test_an_artifact_holds_all_that_predicts() -> None:
    """A linear model predicts from its tensors alone."""
    data = toy("digits")
    run = train("digits", estimator="LogisticRegression", C=0.1)
    tensors, about = safetensors.numpy.load(run.trained.artifact), metadata(run.trained.artifact)
    scores = data.samples(standardize=True)[1] @ tensors["coef_"].T + tensors["intercept_"]
    assert (scores.argmax(1) == data.targets("classifier")[1]).tolist() == run.trained.correct
    assert about["options"] == {"estimator": "LogisticRegression", "C": 0.1}
    assert about["classes"] == [str(each) for each in range(10)]


def test_a_tree_is_stored_node_by_node() -> None:
    (_, x_validation), (_, y_validation) = toy("iris").samples(standardize=True), toy("iris").targets("classifier")
    run = train("iris", estimator="DecisionTreeClassifier", max_depth=3)
    tensors = {name.removeprefix("tree_."): each for name, each in safetensors.numpy.load(run.trained.artifact).items()}
    node = np.zeros(len(y_validation), int)
    for _ in range(3):
        feature, inner = tensors["nodes.feature"][node], tensors["nodes.left_child"][node] >= 0
        # Trees compare in float32.
        x = x_validation[np.arange(len(node)), np.maximum(feature, 0)].astype(np.float32)
        is_left = x <= tensors["nodes.threshold"][node]
        below = np.where(is_left, tensors["nodes.left_child"][node], tensors["nodes.right_child"][node])
        node = np.where(inner, below, node)
    predicted = tensors["values"][node, 0].argmax(1)
    assert (predicted == y_validation).tolist() == run.trained.correct


def test_the_training_samples_are_no_part_of_an_artifact() -> None:
    artifact = train("digits", estimator="KNeighborsClassifier").trained.artifact
    assert metadata(artifact)["values"]["_fit_X"] == "training samples"
    assert len(artifact) < toy("digits").x.nbytes / 10


def test_an_artifact_of_other_options_or_of_other_bytes_is_refused() -> None:
    options = read(estimator="Ridge", alpha=2.0)
    artifact = train("diabetes", estimator="Ridge", alpha=2.0).trained.artifact
    TRAINER.check_artifact(options, "", artifact)
    bare = safetensors.numpy.save({"coef_": np.zeros(3)})
    forged = safetensors.numpy.save({"coef_": np.zeros(3)}, metadata={"seedsweep": "[" * 100_000})
    bad = [b"", artifact[:-1], artifact[1:], pickle.dumps({"coef_": 1}), bare, forged, b"\xff" * 64]
    for blob in bad:
        with pytest.raises(WeightsError):
            TRAINER.check_artifact(options, "", blob)
    with pytest.raises(WeightsError, match="do not say what they hold"):
        TRAINER.check_artifact(options, "", bare)
    with pytest.raises(WeightsError, match="other options"):
        TRAINER.check_artifact(read(estimator="Ridge", alpha=3.0), "", artifact)
    # What describes arrays takes much more memory than they do.
    for count, what in ((12_000_000, "bytes of names"), (600_000, "names and values")):
        forged = safetensors.numpy.save({"coef_": np.zeros(3)}, metadata={"seedsweep": "[]," * count})
        with pytest.raises(WeightsError, match=rf"they have \d+ {what}"):
            TRAINER.check_artifact(options, "", forged)


def test_a_fitted_estimator_that_is_too_large_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    most = {"state.MAX_VALUES": "names and values", "state.MAX_HEADER": "bytes of names", "fitting.MAX_BYTES": "bytes"}
    for limit, what in most.items():
        monkeypatch.setattr(f"worker.trainers.sklearn.{limit}", 100)
        with pytest.raises(InvalidInputError, match=f"one that is fitted to at most 100 {what}; this one has"):
            train("iris", estimator="RandomForestClassifier", n_estimators=2)


# Checkpoints that somebody else may have stored


def test_a_checkpoint_of_another_job_is_refused() -> None:
    values = {"estimator": "SGDClassifier", "average": True, "epochs": 4}
    state = train("iris", **values).states[0]
    assert state is not None
    tensors = safetensors.numpy.load(state)
    same = {"seedsweep": json.dumps({"intercept_": "coef_"})}
    outside = {"seedsweep": json.dumps({"intercept_": "__class__"})}
    bad = [
        b"", state[:-8], pickle.dumps(3), safetensors.numpy.save(tensors),
        safetensors.numpy.save({**tensors, "coef_": tensors["coef_"][:1]}, metadata={"seedsweep": "{}"}),
        safetensors.numpy.save({**tensors, "coef_": tensors["coef_"].astype("f4")}, metadata={"seedsweep": "{}"}),
        safetensors.numpy.save({**tensors, "__class__": tensors["t_"]}, metadata={"seedsweep": "{}"}),
        safetensors.numpy.save({name: tensors[name] for name in ("coef_", "t_")}, metadata={"seedsweep": "{}"}),
        safetensors.numpy.save(tensors, metadata=same), safetensors.numpy.save(tensors, metadata=outside),
        train("digits", **values).states[0], train("iris", estimator="Perceptron").states[0],
    ]  # fmt: skip
    for blob in bad:
        assert blob is not None
        with pytest.raises(WeightsError):
            train("iris", resume_from=Checkpoint(1, blob), **values)
    for epochs in (0, 4, 9):
        with pytest.raises(WeightsError):
            train("iris", resume_from=Checkpoint(epochs, state), **values)
    with pytest.raises(WeightsError):
        train("iris", resume_from=Checkpoint(1, state), estimator="SVC")


def test_jobs_cannot_change_the_data_that_they_share() -> None:
    data = replace(toy("iris"))
    for array in (*data.samples(standardize=True), *data.samples(standardize=False), *data.targets("classifier")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


#: A table whose target is whether a number is positive.
TABLE = "a,b,label\n" + "".join(f"{(n * 7) % 20 - 10},{n % 3},{'np'[(n * 7) % 20 >= 10]}\n" for n in range(60))


def test_a_sweep_over_the_estimators_of_a_table(command_line: CommandLine) -> None:
    (command_line.folder / "table.csv").write_text(TABLE)
    data = TRAINER.load(f"{command_line.folder / 'table.csv'}#label", command_line.folder)

    words = ("--trainer", "sklearn", "--data", "table.csv#label", "--seeds", "3")
    command_line.run("sweep", *words, "--grid", "estimator=SVC,SGDClassifier", "--name", "table")

    rows = command_line.rows("table")
    assert [row["options"]["estimator"] for row in rows] == ["SVC", "SGDClassifier"]
    for row, epochs in zip(rows, (1, 10), strict=True):
        alone = train(data, seed=3, estimator=row["options"]["estimator"])
        assert row["status"] == "succeeded"
        assert row["validation_score"] == alone.values
        assert len(row["epoch_seconds"]) == epochs
        assert row["weights_sha256"] == digest(alone.trained.artifact)
