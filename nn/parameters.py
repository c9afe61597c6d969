"""The checks of the network's parameters: one clear sentence for each value that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np

from nn.errors import InvalidInputError

Loss = Literal["cross_entropy", "sum_of_squares"]
Rule = Literal["backprop", "notebook"]
DType = Literal["float32", "float64"]
EngineName = Literal["compiled", "numpy"]

LOSSES: tuple[str, ...] = get_args(Loss)
RULES: tuple[str, ...] = get_args(Rule)
DTYPES: tuple[str, ...] = get_args(DType)
ENGINES: tuple[str, ...] = get_args(EngineName)

_CHOICES = {"loss": LOSSES, "rule": RULES, "dtype": DTYPES, "engine": ENGINES}


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check the parameters of a `DeepNeuralNetwork`, as its `get_params` returns them.

    Raises:
        InvalidInputError: names the first parameter that cannot be used, its value and what is allowed.
    """
    sizes = parameters["hidden_layer_sizes"]
    if not (isinstance(sizes, tuple | list) and len(sizes) == 2 and all(_is_count(size) for size in sizes)):
        raise InvalidInputError("hidden_layer_sizes", sizes, "two whole numbers of at least 1")
    learning_rate = parameters["learning_rate"]
    if not (_is_number(learning_rate, Real) and math.isfinite(learning_rate) and learning_rate > 0):
        raise InvalidInputError("learning_rate", learning_rate, "a finite number above 0")
    if not _is_count(parameters["epochs"]):
        raise InvalidInputError("epochs", parameters["epochs"], "a whole number of at least 1")
    if not isinstance(parameters["shuffle"], bool | np.bool_):
        raise InvalidInputError("shuffle", parameters["shuffle"], "True or False")
    for name, choices in _CHOICES.items():
        check_choice(name, parameters[name], choices)
    seed = parameters["random_state"]
    if isinstance(seed, Integral) and not 0 <= int(seed) < 2**32:
        raise InvalidInputError("random_state", seed, "a whole number from 0 to 2**32 - 1, a RandomState, or None")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Check a parameter that is one of a few words.

    Raises:
        InvalidInputError: it is none of them.
    """
    if not (isinstance(value, str) and value in choices):
        raise InvalidInputError(name, value, " or ".join(map(repr, choices)))


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_)


def _is_count(value: Any) -> bool:
    return _is_number(value, Integral) and value >= 1
