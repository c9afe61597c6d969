"""The options of scikit-learn's estimators: their names, types and bounds; what is refused before a sweep begins."""

from typing import Any

import pytest
from pydantic import ValidationError

from nn.errors import InvalidInputError
from nn.options.describe import Reader, allowed, invalid_input
from tests.trainers.sklearn_jobs import TRAINER, check, read
from worker.trainers.registry import RESERVED
from worker.trainers.sklearn.estimators import estimators
from worker.trainers.sklearn.options import parameters

#: scikit-learn warns of classes that it will remove.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def said(error: pytest.ExceptionInfo[InvalidInputError]) -> str:
    return str(error.value)


def test_every_estimator_has_options_whose_defaults_scikit_learn_accepts() -> None:
    for name, found in estimators().items():
        options = read(estimator=name)
        model = type(options)
        assert TRAINER.options_for({"estimator": name}) is model
        assert model.model_validate_json(options.model_dump_json()) == options
        assert TRAINER.named(options) == {"estimator": name}
        assert not RESERVED & model.model_fields.keys()
        assert model.model_fields.keys() >= TRAINER.Options.model_fields.keys()
        found.make({each: getattr(options, each) for each in parameters(options)}, 1)._validate_params()
        for each, info in model.model_fields.items():
            assert info.description, f"{name}.{each}"
            assert "object" not in allowed(info), f"{name}.{each}"


def test_every_value_that_is_accepted_is_one_for_scikit_learn_and_equal_numbers_are_one_value() -> None:
    """Otherwise `1` (one feature) and `1.0` (all of them) would have one job key."""
    texts = (None, "auto", "balanced")
    numbers = (0, 1, 2, 2**31 - 1, -1, 0.0, 0.5, 1.0, 1e300, -0.5, True, False)
    for name, found in estimators().items():
        ours = TRAINER.Options.model_fields.keys()
        for each in TRAINER.options_for({"estimator": name}).model_fields.keys() - {"estimator"}:
            kinds: dict[Any, type] = {}
            for value in (*numbers, *texts):
                try:
                    read_value = getattr(read(**{"estimator": name, each: value}), each)
                except ValidationError:
                    continue
                assert kinds.setdefault(read_value, type(read_value)) is type(read_value), f"{name}.{each}"
                if each not in ours:
                    found.make({each: read_value}, 1)._validate_params()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("SGDClasifier", " (did you mean SGDClassifier?)"),
        ("randomforestclassifier", " (did you mean RandomForestClassifier?)"),
        ("sklearn.svm.SVC", ""),
        ("os.system", ""),
        ("__import__('os')", ""),
        ("VotingClassifier", ""),
        ("KMeans", ""),
        ("x" * 100_000, ""),
    ],
)
def test_an_unknown_estimator_is_refused_and_a_near_match_offered(name: str, near: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^estimator is ") as error:
        TRAINER.options_for({"estimator": name})
    assert "allowed: the class name of a classifier or regressor of scikit-learn" in said(error)
    assert near in said(error)
    assert ("did you mean" in said(error)) or not near
    assert len(said(error)) < 300


@pytest.mark.parametrize("value", [None, 3, ["SVC"], {"SVC": 1}, b"SVC", "SVC,SVR", ",", "SVC,os.system"])
def test_an_estimator_that_is_not_one_text_is_left_to_the_model(value: object) -> None:
    assert TRAINER.options_for({"estimator": value}) is TRAINER.Options
    with pytest.raises(ValidationError):
        TRAINER.Options.model_validate({"estimator": value})


@pytest.mark.parametrize(
    ("estimator", "name", "text", "value"),
    [
        ("SGDClassifier", "alpha", "1e-5", 1e-5),
        ("SGDClassifier", "alpha", 1, 1.0),
        ("SGDClassifier", "penalty", "none", None),
        ("SGDClassifier", "average", "true", True),
        ("SGDClassifier", "average", "500", 500),
        ("RandomForestClassifier", "max_features", "sqrt", "sqrt"),
        ("RandomForestClassifier", "max_features", "0.5", 0.5),
        ("RandomForestClassifier", "max_features", "1", 1),
        ("RandomForestRegressor", "max_features", "1.0", 1.0),
        ("RandomForestClassifier", "max_depth", "none", None),
        ("SVC", "gamma", "1e-3", 1e-3),
        ("SVC", "gamma", "scale", "scale"),
        ("LassoCV", "cv", "3", 3),
        ("BaggingClassifier", "n_estimators", "3", 3),
        ("MLPClassifier", "hidden_layer_sizes", "128", 128),
        ("MLPClassifier", "hidden_layer_sizes", "128,64", (128, 64)),
        ("MLPClassifier", "hidden_layer_sizes", [9, 8, 7], (9, 8, 7)),
    ],
)
def test_a_value_is_read_from_text_in_its_own_type(estimator: str, name: str, text: object, value: object) -> None:
    found = Reader(TRAINER.options_for({"estimator": estimator}), name)(text)
    assert found == value
    assert type(found) is type(value)
    options = read(estimator=estimator, **{name: found})
    assert type(options).model_validate(options.model_dump(mode="json")) == options


@pytest.mark.parametrize(
    ("estimator", "name", "value", "accepted"),
    [
        ("SGDClassifier", "alpha", -1.0, "a finite number of at least 0.0"),
        ("SGDClassifier", "alpha", "1", "a finite number of at least 0.0"),
        ("SGDClassifier", "loss", "hing", "epsilon_insensitive, hinge, huber"),
        ("SGDClassifier", "average", 1, "an integer from 2"),
        ("SGDClassifier", "max_iter", 5, "only the fields estimator, epochs, standardize, split, alpha"),
        ("SGDClassifier", "random_state", 5, "only the fields"),
        ("RandomForestClassifier", "n_jobs", -1, "only the fields"),
        ("RandomForestClassifier", "max_depth", 0, "an integer from 1 to 2147483647, or none"),
        ("RandomForestClassifier", "min_samples_split", 1, "an integer from 2"),
        ("RandomForestClassifier", "max_features", 1.0, "an integer from 1"),
        ("RandomForestRegressor", "max_features", 1, "an integer from 2"),
        ("RandomForestClassifier", "n_estimators", 10**30, "an integer from 1 to 2147483647"),
        ("SVC", "kernel", "os.system", "linear, poly, precomputed, rbf or sigmoid"),
        ("SVC", "C", float("inf"), "a finite number greater than 0.0"),
        ("Ridge", "alpha", [1.0, 2.0], "a finite number of at least 0.0"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(estimator: str, name: str, value: object, accepted: str) -> None:
    model = TRAINER.options_for({"estimator": estimator})
    with pytest.raises(ValidationError) as error:
        model.model_validate({"estimator": estimator, name: value})
    message = str(invalid_input(model, error.value, "options"))
    assert message.startswith(f"{name} is ")
    assert accepted in message


def test_the_metric_is_accuracy_for_a_classifier_and_r2_for_a_regressor() -> None:
    classifier, regressor = read(estimator="SVC"), read(estimator="SVR")
    assert TRAINER.metric_of(classifier).is_share
    assert TRAINER.metric_of(regressor).name == "validation R2"
    assert not TRAINER.metric_of(regressor).is_share
    assert TRAINER.others(classifier) == ()
    assert [each.name for each in TRAINER.others(regressor)] == ["mean_squared_error"]


def test_epochs_are_no_part_of_the_name_of_a_job_that_has_none() -> None:
    """A sweep over several estimators sets the epochs of those that have them."""
    assert TRAINER.named(read(estimator="SVC", epochs=20)) == {"estimator": "SVC"}
    assert TRAINER.epochs(read(estimator="SVC", epochs=20)) == 1
    assert TRAINER.named(read(estimator="SGDClassifier", epochs=20)) == {"estimator": "SGDClassifier", "epochs": 20}
    assert TRAINER.epochs(read(estimator="SGDClassifier", epochs=20)) == 20


# Before a sweep begins


@pytest.mark.parametrize(
    ("data", "values", "message"),
    [
        ("diabetes", {"estimator": "SVC"}, "allowed: a regressor, because the data set's targets are numbers"),
        ("iris", {"estimator": "SVR"}, "'SVR'; allowed: a classifier, because the data set's targets are classes"),
        ("iris", {"estimator": ["SVC", "SVR"]}, "is SVC,SVR; allowed: classifiers only or regressors only"),
        ("iris", {"estimator": ["SVC", "Nope"]}, "estimator is 'Nope'; allowed: the class name"),
        ("iris", {"estimator": "SVC", "epochs": 20},
         "epochs is 20; allowed: nothing but the default 10, because SVC is fitted at once"),
        ("iris", {"estimator": ["SVC", "SGDClassifier"], "epochs": [5, 10]},
         "epochs is 5,10; allowed: one value, because SVC is fitted at once, without epochs"),
        ("iris", {"estimator": "MultinomialNB"}, "standardize is true; allowed: false with MultinomialNB (Negative"),
        ("iris", {"estimator": "LogisticRegression", "solver": ["lbfgs", "liblinear"], "l1_ratio": 1.0},
         "estimator is LogisticRegression with l1_ratio=1.0; allowed: what it can be fitted with ("),
        ("iris", {"estimator": "SGDClassifier", "class_weight": [None, "balanced"]},
         "class_weight=balanced; allowed: what it can be fitted with ("),
        ("iris", {"estimator": "MLPClassifier", "solver": ["adam", "lbfgs"]},
         "solver=lbfgs; allowed: what it can be fitted with ("),
        ("diabetes", {"estimator": "MultiTaskLasso"}, "is MultiTaskLasso; allowed: what it can be fitted with ("),
        ("diabetes", {"estimator": "CCA"}, "estimator is CCA; allowed: what it can be fitted with ("),
    ],
)  # fmt: skip
def test_a_sweep_that_cannot_work_is_refused(data: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        check(data, **values)
    assert message in said(error)
    assert "\n" not in said(error)


def test_what_depends_on_the_number_of_samples_is_not_refused_after_a_trial_with_a_few() -> None:
    check("digits", estimator="KNeighborsClassifier", n_neighbors=[1, 500])
    check("digits", estimator="LinearDiscriminantAnalysis", n_components=[1, 9])
    check("digits", estimator="LogisticRegressionCV", cv=60, Cs=2, max_iter=1)
    # Nor is what works, however often it iterates.
    check("iris", estimator="RandomForestClassifier", n_estimators=10**9)
    check("iris", estimator=["SVC", "SGDClassifier", "RandomForestClassifier"], epochs=5)
    check("iris", estimator="SGDClassifier", alpha=[1e-5, 1e-3], loss=["hinge", "log_loss"], epochs=[5, 10])
    check("iris", estimator="MultinomialNB", standardize=False)


def test_a_trial_of_too_much_time_or_memory_is_left_to_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.trainers.sklearn.trainer._MOST_SECONDS", 1)
    check("iris", estimator="LogisticRegressionCV", Cs=100_000)
    monkeypatch.setattr("worker.trainers.sklearn.trainer._MOST_SECONDS", 60)
    monkeypatch.setattr("worker.trainers.sklearn.trainer._MOST_MEMORY", 2**26)
    check("diabetes", estimator="TheilSenRegressor", max_subpopulation=10**8)
