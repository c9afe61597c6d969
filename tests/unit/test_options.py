"""Models of options: the names, sentences, values and columns that follow from any of them."""

import inspect
import math
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from nn import DeepNeuralNetwork
from nn.options.describe import (
    Option,
    Reader,
    allowed,
    digits_of,
    heading,
    help_text,
    label,
    option,
    shown,
    word,
    written,
)
from nn.options.network import NetworkOptions
from orchestrator.sweeps.axes import axis
from orchestrator.sweeps.fields import words_of


class Pretend(BaseModel):
    """Options as a model of one's own could have them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: Annotated[float, Option(values=(0.1, 1e-5))] = Field(gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.0, ge=0, lt=1, description="Share of the last step that is kept.")
    depth: int = Field(default=3, ge=1, title="tree depth")
    most: Annotated[int | None, Option(none="all")] = Field(default=None, le=9)
    shape: Annotated[tuple[int, int, int], Option(word="hidden")] = (3, 2, 1)
    kind: Literal["a", "b", "c"] = "a"
    warm: bool = True
    label: str = "x"


FIELDS = Pretend.model_fields


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("alpha", "a finite number greater than 0"),
        ("momentum", "a number of at least 0 and less than 1"),
        ("depth", "an integer of at least 1"),
        ("most", "an integer of at most 9, or none"),
        ("shape", "three integers"),
        ("kind", "a, b or c"),
        ("warm", "true or false"),
        ("label", "text"),
    ],
)
def test_allowed_values_follow_from_type_and_bounds(name: str, sentence: str) -> None:
    assert allowed(FIELDS[name]) == sentence


def test_names_and_help_follow_from_the_field() -> None:
    assert [word(Pretend, name) for name in ("alpha", "shape")] == ["alpha", "hidden"]
    assert [heading(Pretend, name) for name in ("depth", "most")] == ["tree depth", "most"]
    assert help_text(Pretend, "momentum") == "Share of the last step that is kept.  [default: 0.0]"
    assert help_text(Pretend, "kind") == "Kind: a, b or c.  [default: a]"
    assert help_text(Pretend, "alpha") == "Alpha.  [default: 0.1,1e-05]"
    assert help_text(Pretend, "most") == "Most.  [default: all]"
    assert [label(Pretend, name) for name in ("alpha", "shape", "most")] == ["alpha", "hidden", "most"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("alpha", 0.25, "0.25"), ("alpha", 1e300, "1e+300"), ("alpha", 100_000.0, "100000"), ("alpha", 1e-05, "1e-05"),
        ("alpha", 0.1 + 0.2, "0.30000000000000004"), ("shape", (3, 2, 1), "3,2,1"), ("warm", False, "false"),
        ("most", None, "all"), ("most", 7, "7"), ("kind", "b", "b"), ("kind", "a\nb", r"'a\nb'"),
    ],
)  # fmt: skip
def test_values_are_shown_to_people(name: str, value: object, text: str) -> None:
    assert shown(FIELDS[name], value) == text


def test_floats_have_as_many_digits_as_tell_them_apart() -> None:
    # Six digits are enough for these, though they do not tell the exact value,
    assert [shown(FIELDS["alpha"], value, digits_of((1 / 3, 2 / 3))) for value in (1 / 3, 2 / 3)] == [
        "0.333333", "0.666667",
    ]  # fmt: skip
    # and not for two neighbours.
    pair = (0.1, math.nextafter(0.1, 1))
    first, second = (shown(FIELDS["alpha"], value, digits_of(pair)) for value in pair)
    assert first != second
    assert digits_of(("a", None, 3)) == 6


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("alpha", "1e-05", 1e-5), ("alpha", "2", 2.0), ("depth", " 7 ", 7), ("most", "none", None), ("most", "-3", -3),
        ("shape", "1, 2,3", (1, 2, 3)), ("kind", "c", "c"), ("warm", "false", False), ("label", "7", "7"),
    ],
)  # fmt: skip
def test_values_are_read_from_text_and_written_back(name: str, text: str, value: object) -> None:
    read = Reader(Pretend, name)

    assert read(text) == value
    assert type(read(text)) is type(value)
    assert read(written(value)) == value
    # A TOML or JSON value is read, too.
    assert read(list(value) if isinstance(value, tuple) else value) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("alpha", bad) for bad in ("0", "nan", "inf", "1_0", "٣", "", "1e", True, None, math.inf, [0.1], 10**400)],
        *[("depth", bad) for bad in ("0", "1.5", 1.0, True, "9" * 5000, "none", None)],
        *[("shape", bad) for bad in ("1,2", "1,2,3,4", "", "1,2,x", [1, 2], 5, [1, 2, True])],
        *[("kind", bad) for bad in ("A", "", None, ["a"])],
        *[("warm", bad) for bad in ("yes", "True", 1, None)],
        ("most", "10"),
        ("label", 7),
    ],
)
def test_invalid_values_are_rejected(name: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        Reader(Pretend, name)(value)


def test_words_of_a_specification_follow_from_any_model() -> None:
    words = words_of(Pretend)

    assert list(words) == ["alpha", "momentum", "depth", "most", "hidden", "kind", "warm", "label"]
    assert words["alpha"].read("0.5, 0.25,0.5") == [0.5, 0.25, 0.5]
    assert words["alpha"].allowed == "finite numbers greater than 0, separated by commas"
    assert words["hidden"].allowed == "three integers, such as 3,2,1"
    assert words["most"].allowed == "integers of at most 9, or none, separated by commas"
    assert [name for name, entry in words.items() if entry.is_switch] == ["warm"]


def test_the_estimator_has_every_option_with_its_default() -> None:
    defaults = {name: each.default for name, each in inspect.signature(DeepNeuralNetwork).parameters.items()}
    of_its_own = {"random_state", "learning_rate"}

    # These pick samples; they are no parameters of a network that is given its samples.
    of_samples = {"limit", "test_size", "split"}
    assert defaults.keys() - of_its_own == NetworkOptions.model_fields.keys() - of_its_own - of_samples
    for name in defaults.keys() - of_its_own:
        assert defaults[name] == NetworkOptions.model_fields[name].default, name
    assert defaults["learning_rate"] in option(NetworkOptions.model_fields["learning_rate"]).values


class Layers(BaseModel):
    widths: tuple[Annotated[int, Field(ge=1)], ...] = (64, 32)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("5", [(5,)]),
        ("64,32,16", [(64, 32, 16)]),
        ([64, 32], [(64, 32)]),
        ((), [()]),
        ("()", [()]),
        (("64,32", "128"), [(64, 32), (128,)]),
        ([[1], []], [(1,), ()]),
    ],
)
def test_a_tuple_of_any_length(given: object, read: list[tuple[int, ...]]) -> None:
    widths = axis(Layers, "widths")
    assert widths(given) == read
    assert [widths(written(each)) for each in read] == [[each] for each in read]
    assert widths.allowed == "integers of at least 1, separated by commas, such as 64,32"


@pytest.mark.parametrize("given", ["0", "1,x", "1,,2", ",".join("1" * 1002), [1.5]])
def test_what_a_tuple_of_any_length_refuses(given: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        axis(Layers, "widths")(given)
