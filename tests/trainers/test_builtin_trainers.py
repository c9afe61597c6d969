"""The trainers that Seedsweep brings keep the promises of every trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from worker.trainers import check_trainer
from worker.trainers.network import NetworkTrainer

SHORT: dict[str, Any] = {"learning_rate": 0.1, "limit": 300}


@pytest.mark.process
@pytest.mark.compiles
@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 4},
        {"epochs": 2, "rule": "notebook", "hidden_layer_sizes": (8, 4), "test_size": 50},
        {"epochs": 2, "dtype": "float64", "biases": True, "shuffle": True, "engine": "numpy"},
    ],
)
def test_the_network_keeps_every_promise(options: dict[str, Any], cache_dir: Path) -> None:
    check_trainer(NetworkTrainer, options=[SHORT | options], cache_dir=cache_dir)


@pytest.mark.compiles
def test_a_network_that_diverges_states_it(cache_dir: Path) -> None:
    check_trainer(
        NetworkTrainer,
        options=[SHORT | {"learning_rate": 1e6, "epochs": 5}],
        cache_dir=cache_dir,
        only=["trains", "each_epoch_is_reported", "metrics_are_finite_numbers", "a_problem_is_one_sentence"],
    )
