"""`check_trainer` names the promise that a trainer breaks, and is content with those that break none, such as ours."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nn.errors import InvalidInputError
from seedsweep import TrainerCheckError, check_trainer
from tests.support.idx_files import write_idx_folder
from tests.support.own_trainer import EXAMPLE
from tests.trainers import broken, early
from tests.trainers.sklearn_jobs import TRAINER
from worker.trainers.checks import checks, elsewhere
from worker.trainers.network import NetworkTrainer

CAUGHT = [*broken.CAUGHT, (early.ImportsEarly, "imports_are_late", "imports numpy")]


def caught(trainer: Any, **arguments: Any) -> TrainerCheckError:
    with pytest.raises(TrainerCheckError) as error:
        check_trainer(trainer, **arguments)
    return error.value


@pytest.mark.parametrize(("trainer", "check", "said"), CAUGHT, ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_trainer_is_caught_by_the_name_of_its_check(
    trainer: Any, check: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trainer is broken.PreparesForAll:
        monkeypatch.setattr(elsewhere, "_SECONDS", 1.0)
    error = caught(trainer)

    assert error.check == check
    assert said in error.problem
    assert str(error) == f"{check}: {error.problem}"
    assert "\n" not in str(error)


@pytest.mark.parametrize("hashed", [lambda rows, _: str(rows.shape), lambda _, path: path], ids=["shape", "path"])
def test_the_digest_of_a_file_is_that_of_its_content(hashed: Callable[..., str], tmp_path: Path) -> None:
    class Wrong(broken.Honest):
        def hashed(self, *data: Any) -> str:
            return hashlib.sha256(hashed(*data).encode()).hexdigest()

    table = tmp_path / "table.csv"
    table.write_text("1,2\n3,4\n-5,1\n")

    assert caught(Wrong, data=str(table)).check == "changed_data_has_another_digest"
    check_trainer(broken.Honest, data=str(table), only=["changed_data_has_another_digest"])


def test_a_trainer_without_a_class_of_its_own_module_or_with_arguments() -> None:
    class Local(broken.Honest):
        pass

    local = caught(Local)
    assert local.check == "imports_are_late"
    assert "at the top of a module" in local.problem
    assert "made without arguments" in caught(broken.NeedsArguments(3)).problem


def test_an_honest_trainer_passes() -> None:
    for trainer in (
        broken.Honest,
        broken.PreparesAPool,
        broken.LoadsForEachProcess,
        broken.ImportDraws,
        broken.HasWidths,
        broken.Stops,
    ):
        check_trainer(trainer)
    check_trainer(broken.Honest(), options=[{"epochs": 1}, {"rate": 5.0, "penalty": 0.5}], seeds=(7,))


def test_the_example_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from seedsweep_softmax import SoftmaxTrainer

    check_trainer(SoftmaxTrainer, options=[{"epochs": 4}, {"learning_rate": 1.0, "batch_size": 7, "epochs": 2}])
    sys.modules.pop("seedsweep_softmax")


def test_every_check_has_a_name_a_description_and_a_trainer_that_it_catches() -> None:
    assert set(checks()) - {check for _, check, _ in CAUGHT} == {"changed_data_has_another_digest"}
    assert all(text.endswith(".") and "\n" not in text for text in checks().values())


@pytest.mark.parametrize(
    ("arguments", "field"), [({"options": []}, "options"), ({"seeds": []}, "seeds"), ({"only": ["no_such"]}, "only")]
)
def test_bad_arguments(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        check_trainer(broken.Honest, **arguments)
    assert error.value.field == field


def test_the_network_keeps_every_promise(tmp_path: Path) -> None:
    # Given a data set of MNIST's image size, with a hundredth of its images
    write_idx_folder(tmp_path / "images", train=600, test=100, side=28)
    numpy: dict[str, Any] = {"learning_rate": 0.1, "epochs": 2, "engine": "numpy", "hidden_layer_sizes": (8, 4)}
    options: list[dict[str, Any]] = [
        {"learning_rate": 0.1, "epochs": 4},
        {**numpy, "rule": "notebook", "test_size": 50},
        {**numpy, "dtype": "float64", "biases": True, "shuffle": True, "split": "seed"},
    ]
    check_trainer(NetworkTrainer, data=str(tmp_path / "images"), options=options, cache_dir=tmp_path)


def test_classifiers_of_scikit_learn_keep_every_promise() -> None:
    options: list[dict[str, Any]] = [
        {"estimator": "SGDClassifier", "epochs": 3, "alpha": 1e-3, "average": True},
        {"estimator": "MLPClassifier", "epochs": 3, "hidden_layer_sizes": [16, 8]},
        {"estimator": "RandomForestClassifier", "n_estimators": 5, "split": "seed"},
        {"estimator": "HistGradientBoostingClassifier", "max_iter": 5, "max_features": 0.5},
    ]
    check_trainer(type(TRAINER), data="iris", options=options)


def test_regressors_keep_what_this_process_can_see() -> None:
    in_order = list(checks())
    here = in_order[: in_order.index("imports_are_late")]
    options: list[dict[str, Any]] = [{"estimator": "SGDRegressor", "epochs": 3}, {"estimator": "Ridge", "alpha": 2.0}]
    check_trainer(type(TRAINER), data="diabetes", options=options, seeds=(0,), only=here)
    check_trainer(type(TRAINER), data="diabetes", options=options[:1], only=["seeds_matter"])
