"""Options without an effect: the model's table says which, and training says the same."""

from typing import Any

import numpy as np
import pytest

from nn.errors import InvalidInputError
from nn.options.network import WITHOUT_EFFECT, NetworkOptions, check_effects
from nn.samples import Samples, pack
from nn.training import Training
from nn.weights import to_safetensors

BASE: dict[str, Any] = {"learning_rate": 0.1, "epochs": 2, "hidden_layer_sizes": (4, 3), "limit": 20, "engine": "numpy"}
#: Another value of each option, but of the engine, since both train alike up to rounding, and the split of the data.
OTHER: dict[str, Any] = {
    "learning_rate": 0.2, "epochs": 3, "hidden_layer_sizes": (5, 3), "rule": "notebook", "loss": "sum_of_squares",
    "dtype": "float64", "shuffle": True, "limit": 21, "initialization": "he_uniform", "initial_scale": 0.5,
    "biases": True, "test_size": 5,
}  # fmt: skip
SURROUNDINGS: list[dict[str, Any]] = [
    {}, *({name: value} for name, value in OTHER.items()), {"limit": 1}, {"epochs": 1}
]  # fmt: skip


@pytest.fixture(scope="module")
def samples() -> Samples:
    random = np.random.RandomState(0)
    return pack(random.rand(30, 6).astype(np.float32), random.randint(3, size=30), 3)


def weights(samples: Samples, **changed: Any) -> bytes:
    options = NetworkOptions(**{**BASE, **changed}).model_dump()
    hidden, limit, test_size, _ = (options.pop(name) for name in ("hidden_layer_sizes", "limit", "test_size", "split"))
    used = samples.first(limit)
    training = Training.begin((samples.n_features, *hidden, samples.n_classes), 0, **options)
    list(training.run(used.first(len(used) - test_size), None))
    return to_safetensors(training.weights)


def test_every_option_is_tried() -> None:
    tried = NetworkOptions.model_fields.keys() - {"engine", "split"}
    assert OTHER.keys() == tried, f"OTHER needs another value of each option; different: {OTHER.keys() ^ tried}"


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=str)
def test_an_option_has_an_effect_unless_the_table_says_that_it_has_none(
    samples: Samples, surroundings: dict[str, Any]
) -> None:
    before = weights(samples, **surroundings)
    without_effect = {name for name, other, value, _ in WITHOUT_EFFECT if surroundings.get(other) == value}

    for name, value in OTHER.items():
        together = {**surroundings, name: value}
        # These are refused because they cannot be trained.
        refused = (together.get("rule") == "notebook" and together.get("biases")) or (
            together.get("limit") == 1 and together.get("test_size")
        )
        if name not in surroundings and not refused:
            is_same = weights(samples, **surroundings, **{name: value}) == before
            assert is_same == (name in without_effect), name


def test_an_option_without_effect_is_refused_by_name() -> None:
    defaults = {name: (value,) for name, value in NetworkOptions(learning_rate=0.1).model_dump().items()}
    check_effects(defaults | {"rule": ("notebook",), "shuffle": (True,), "initialization": ("he",), "limit": (2,)})
    # In a grid, one combination is enough.
    with pytest.raises(InvalidInputError, match="shuffle is true"):
        check_effects(defaults | {"shuffle": (False, True), "limit": (2, 1)})
    for values, sentence in [
        (
            {"rule": "notebook", "loss": "sum_of_squares"},
            "loss is sum_of_squares; allowed: cross_entropy together with rule notebook, whose update has no loss",
        ),
        (
            {"rule": "notebook", "biases": True},
            "biases is true; allowed: false together with rule notebook, whose update has no biases",
        ),
        (
            {"shuffle": True, "limit": 1},
            "shuffle is true; allowed: false together with limit 1, which leaves one order of the samples",
        ),
        ({"test_size": 19, "limit": 20}, "test_size is 19; allowed: at most 18, 2 less than limit 20"),
        ({"test_size": 1, "limit": 1}, "test_size is 1; allowed: at most 0, 2 less than limit 1"),
    ]:
        with pytest.raises(InvalidInputError) as refusal:
            check_effects(defaults | {name: (value,) for name, value in values.items()})
        assert str(refusal.value) == sentence


#: Learning rates that are one number in float32: rounded, infinite and zero.
EQUAL_IN_FLOAT32 = [(0.1, 0.10000000001), (1e39, 1e300), (1e-50, 1e-60)]


@pytest.mark.parametrize("rates", EQUAL_IN_FLOAT32, ids=str)
def test_learning_rates_that_are_one_float32_number_are_refused_together(
    samples: Samples, rates: tuple[float, float]
) -> None:
    # Given two learning rates that train to the same bits in float32
    with np.errstate(all="ignore"):
        first, second = (weights(samples, learning_rate=rate) for rate in rates)
    assert first == second
    # Then no sweep has both, unless it trains in float64, where they differ.
    values = {name: (value,) for name, value in NetworkOptions(learning_rate=0.1).model_dump().items()}
    values["learning_rate"] = (0.2, *rates)
    for dtypes in (("float32",), ("float64", "float32")):
        with pytest.raises(InvalidInputError) as refusal:
            check_effects(values | {"dtype": dtypes})
        assert str(refusal.value) == (
            f"learning_rate is {rates[0]} and {rates[1]}; allowed: numbers that differ in float32, the precision of "
            "the training"
        )
    check_effects(values | {"dtype": ("float64",)})
    # Neighbours differ.
    check_effects(values | {"learning_rate": (0.1, 0.10000001)})
