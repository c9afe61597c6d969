"""The trainers that Seedsweep brings keep the promises of every trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.idx_files import write_idx_folder
from tests.trainers.sklearn_jobs import TRAINER
from worker.trainers import check_trainer, checks
from worker.trainers.network import NetworkTrainer


@pytest.fixture(scope="module")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of MNIST's image size, with a hundredth of its images."""
    folder = tmp_path_factory.mktemp("images")
    write_idx_folder(folder, train=600, test=100, side=28)
    return str(folder)


def test_the_network_keeps_every_promise(few_images: str, tmp_path: Path) -> None:
    numpy: dict[str, Any] = {"learning_rate": 0.1, "epochs": 2, "engine": "numpy", "hidden_layer_sizes": (8, 4)}
    options: list[dict[str, Any]] = [
        {"learning_rate": 0.1, "epochs": 4},
        {**numpy, "rule": "notebook", "test_size": 50},
        {**numpy, "dtype": "float64", "biases": True, "shuffle": True, "split": "seed"},
    ]
    check_trainer(NetworkTrainer, data=few_images, options=options, cache_dir=tmp_path)


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
