"""The options of the network's training. Each is defined here and nowhere else.

Jobs, specifications, flags, words of TOML files, columns and messages follow from this model; an option's meaning is
in `nn.network`.
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from nn.errors import Described, InvalidInputError
from nn.options.describe import Option, allowed, heading, written

#: The largest seed of NumPy's `RandomState`.
MAX_SEED = 2**32 - 1
MAX_EPOCHS = 100_000

Loss = Literal["cross_entropy", "sum_of_squares"]
DType = Literal["float32", "float64"]
DTYPES: tuple[str, ...] = get_args(DType)
Initialization = Literal["notebook", "lecun", "glorot", "he", "lecun_uniform", "glorot_uniform", "he_uniform"]

Split = Literal["fixed", "seed"]
SPLIT_HELP = "Split into training and validation samples, the same for all seeds or drawn by each seed."

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Width = Annotated[int, Field(ge=1, le=4096)]


class NetworkOptions(BaseModel, frozen=True, extra="forbid"):
    """The options of `nn.DeepNeuralNetwork`, `limit`, `test_size` and `split`; a field's description is its help."""

    learning_rate: Annotated[float, Option(word="learning_rates", values=(0.003, 0.01, 0.03, 0.1))] = Field(
        gt=0, allow_inf_nan=False, description="Learning rates."
    )
    epochs: Annotated[int, Option(always=True)] = Field(
        default=10, ge=1, le=MAX_EPOCHS, description="Passes over the training samples."
    )
    hidden_layer_sizes: Annotated[tuple[Width, Width], Option(word="hidden")] = Field(
        default=(128, 64), title="hidden layers", description="Widths of the two hidden layers."
    )
    rule: Annotated[Literal["backprop", "notebook"], Option(always=True)] = Field(
        default="backprop", description="Update rule."
    )
    loss: Loss = Field(default="cross_entropy", description="Loss function.")
    dtype: DType = Field(default="float32", title="precision", description="Precision of weights and arithmetic.")
    shuffle: bool = Field(default=False, description="Shuffle the training samples before every epoch.")
    engine: Literal["compiled", "numpy"] = Field(
        default="compiled", description="Implementation; only compiled gives the same bits on every CPU."
    )
    limit: Annotated[int | None, Option(always=True, none="all samples")] = Field(
        default=None, ge=1, le=2**31 - 1, description="Number of training samples to use, counted from the first."
    )
    initialization: Initialization = Field(default="notebook", description="Distribution of the initial weights.")
    initial_scale: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="Factor by which all initial weights are multiplied."
    )
    biases: bool = Field(default=False, description="Give every node a bias, which is zero at the start.")
    test_size: int = Field(
        default=0,
        ge=0,
        le=2**31 - 1,
        description="Number of samples to hold out for orchestrator test: the last of those in use.",
    )
    split: Split = Field(default="fixed", description=SPLIT_HELP)

    def layers(self, n_features: int, n_classes: int) -> tuple[int, int, int, int]:
        """Return the widths of the network's layers, from the features of a sample to the classes."""
        return (n_features, *self.hidden_layer_sizes, n_classes)


#: The options that `NetworkOptions.layers` depends on.
SHAPE = frozenset({"hidden_layer_sizes"})


def check_options(**values: Any) -> None:
    """Check the values of some options, in the types of the model: text is not read as a number.

    Raises:
        InvalidInputError: names an invalid option, its value and what is allowed.
    """
    try:
        # The one option without a default may be missing here.
        NetworkOptions.model_validate({"learning_rate": 1.0} | values, strict=True)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise InvalidInputError(name, values[name], allowed(NetworkOptions.model_fields[name])) from None


#: Options that must have their defaults beside a value of another one: any other value would be a second name for the
#: same job. Each with the other option, its value, and the reason, as a clause.
WITHOUT_EFFECT = (
    ("biases", "rule", "notebook", "whose update has no biases"),
    ("loss", "rule", "notebook", "whose update has no loss"),
    ("shuffle", "limit", 1, "which leaves one order of the samples"),
)


def _check_effect(values: Mapping[str, Sequence[Any]], name: str, other: str, value: object, because: str) -> None:
    default = NetworkOptions.model_fields[name].default
    chosen = next((each for each in values[name] if each != default), default)
    if chosen != default and value in values[other]:
        beside = f"{heading(NetworkOptions, other)} {written(value)}"
        raise InvalidInputError(
            name, Described(written(chosen)), f"{written(default)} together with {beside}, {because}"
        )


def check_effects(values: Mapping[str, Sequence[Any]]) -> None:
    """Check that no two combinations of values are the same job.

    Every option that differs from its default must have an effect, in each combination, and learning rates must differ
    in the precision of the training.

    Args:
        values: The values of all options, one or several of each, each valid by itself.

    Raises:
        InvalidInputError: names an option without effect, and the option that causes it; or two learning rates that
            are the same float32 number.
    """
    for each in WITHOUT_EFFECT:
        _check_effect(values, *each)
    check_split(values["split"])
    limits = [limit for limit in values["limit"] if limit is not None]
    if limits:
        check_test_size(values["test_size"], min(limits), f"2 less than limit {min(limits)}")
    if "float32" in values["dtype"]:
        _check_float32(values["learning_rate"])


def check_test_size(values: Sequence[int], samples: int, because: str) -> None:
    """Check that a sweep has one test split, which leaves at least two samples to train on; `because` explains that.

    One sample has one order, so that `shuffle` would have no effect.

    Raises:
        InvalidInputError: there are several values, or one is too large.
    """
    _check_one("test_size", values, "all configurations of a sweep have the same test split")
    if values[0] and values[0] > samples - 2:
        raise InvalidInputError("test_size", values[0], f"at most {max(samples - 2, 0)}, {because}")


def check_split(values: Sequence[str]) -> None:
    """Raise `InvalidInputError` if a sweep has several values of the option `split`."""
    _check_one("split", values, "a seed validates all configurations of a sweep on the same samples")


def _check_one(name: str, values: Sequence[Any], because: str) -> None:
    if len(values) > 1:
        raise InvalidInputError(name, Described(" and ".join(map(written, values))), f"one value, because {because}")


def _check_float32(rates: Sequence[float]) -> None:
    known: dict[float, float] = {}
    for value in rates:
        # The nearest float32 number, which training uses; without NumPy, which is slow to import.
        first = known.setdefault(ctypes.c_float(value).value, value)
        if first != value:
            allowed = "numbers that differ in float32, the precision of the training"
            raise InvalidInputError("learning_rate", Described(f"{written(first)} and {written(value)}"), allowed)


def check_biases(rule: str, biases: bool) -> None:
    """Raise `InvalidInputError` for biases that the rule would not train."""
    _check_effect({"rule": (rule,), "biases": (biases,)}, *WITHOUT_EFFECT[0])
