"""A sweep specification: what its words may be, and the jobs that it stands for."""

import json

import pytest
from pydantic import ValidationError

from nn.errors import InvalidInputError
from nn.options.network import MAX_SEED, NetworkOptions
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweeps import parse, specification, typed, written


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0-4", (0, 1, 2, 3, 4)),
        ("0,3,7", (0, 3, 7)),
        ("0-2,7,10-11", (0, 1, 2, 7, 10, 11)),
        (" 1 , 2 ", (1, 2)),
        ("5-5", (5,)),
        (f"{MAX_SEED}", (MAX_SEED,)),
        # A sweep is a set of jobs: a seed that is named twice counts once.
        ("3,0-4,3", (3, 0, 1, 2, 4)),
        ([0, 3, "5-6"], (0, 3, 5, 6)),
        (7, (7,)),
        # A flag that is repeated adds its seeds.
        (("0-2", "7,9"), (0, 1, 2, 7, 9)),
    ],
)
def test_seeds_are_read(text: object, seeds: tuple[int, ...]) -> None:
    assert parse({"seeds": text})["seeds"] == seeds


#: For each word, what is allowed, and values that are not.
REFUSED: dict[tuple[str, str], tuple[object, ...]] = {
    ("seeds", f"integers from 0 to {MAX_SEED} and rising ranges of them, such as 0-4 or 0,3,7"): (
        "", ",", "5-2", "-1", "a", "1.5", "1--2", "1-2-3", "0,", [], [True], None, "٣", f"{MAX_SEED + 1}",
        f"0-{MAX_SEED + 1}", "9" * 50,
    ),
    ("seeds", "at most 100,000 seeds"): (f"0-{MAX_SEED}", "0-100000", ("0-60000", "70000-110001")),
    ("learning_rates", "finite numbers greater than 0, separated by commas"): (
        "0", "", "0.1,", [], True, None, "0,1_0", "--1", "linear:0..1:5",
    ),
    ("learning_rates", "a range from its lower end to its higher one"): ("0.1,log:0.3..0.1:5",),
    ("epochs", "integers from 1 to 100000, separated by commas"): ("", "100001", 2.5, "5,0", "linear:0.5..3:3"),
    ("hidden", "two integers from 1 to 4096, such as 128,64"): ("128", "128,5000", "", 128, "128,64,256,64"),
    ("limit", "integers from 1 to 2147483647, or none, separated by commas"): ("0", "-1", "all", "2147483648", "5,0"),
    ("test_size", "integers from 0 to 2147483647, separated by commas"): ("-1",),
    ("loss", "cross_entropy or sum_of_squares"): ("mse", "log:1..2:3", "cross_entropy,mse", "cross_entropy,"),
    ("rule", "backprop or notebook"): ("Backprop", ","),
    ("engine", "compiled or numpy"): ("gpu",),
    ("dtype", "float32 or float64"): ("float16",),
    ("initialization", "notebook, lecun, glorot, he, lecun_uniform, glorot_uniform or he_uniform"): ("he,xavier",),
    ("initial_scale", "finite numbers greater than 0, separated by commas"): ("0",),
    ("shuffle", "true or false"): ("yes",),
    ("split", "fixed or seed"): ("random",),
    ("data", "bundled, openml, or a folder with the four IDX files"): ("", "a\0b"),
    ("data", "one data set"): (("bundled", "openml"),),
}  # fmt: skip


def refusal_of(words: dict[str, object]) -> str:
    with pytest.raises(InvalidInputError) as refusal:
        specification(parse(words))
    return str(refusal.value)


@pytest.mark.parametrize(("word", "allowed"), REFUSED)
def test_what_is_not_allowed_is_refused_in_one_sentence(word: str, allowed: str) -> None:
    for value in REFUSED[word, allowed]:
        shown = repr(value) if value is None or isinstance(value, str) else json.dumps(value)
        assert refusal_of({word: value}) == f"--{word.replace('_', '-')} is {shown}; allowed: {allowed}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        # Of a repeated flag, the message shows the value that is not allowed.
        ({"hidden": ("128,64", "0,64")}, "--hidden is '0,64'; allowed: two integers from 1 to 4096, such as 128,64"),
        ({"hidden": ("128", "64")}, "--hidden is '128'; allowed: two integers from 1 to 4096, such as 128,64"),
        ({"loss": ("cross_entropy", "")}, "--loss is ''; allowed: cross_entropy or sum_of_squares"),
        ({"seeds": ("0-4", "x")}, "--seeds is 'x'; allowed: integers from 0 to"),
        # Long values are cut.
        ({"seeds": "9" * 5000}, "999...; allowed: integers from 0 to"),
        ({"epochs": "9" * 5000}, "999...; allowed: integers from 1 to"),
        ({"learning_rates": ",".join(["0.1"] * 100_001)}, "at most 100,000 values"),
        ({"learning_rate": "1", "learning_rates": "2"}, "given twice; allowed: either learning_rates or learning_rate"),
        ({"sedes": "0-4"}, "'sedes'; allowed: trainer, seeds, learning_rates, "),
        ({"sedes": "0-4"}, " (did you mean seeds?)"),
        ({"gpu": "0-4"}, "'gpu'; allowed: trainer, seeds, learning_rates, "),
        ({"learning_rates": "log:0.1..1"}, "learning_rates is 'log:0.1..1'; allowed: in a grid, a range with a number"),
        (
            {"seeds": "0-9999", "learning_rates": "linear:0.01..0.11:11"},
            "110,000 jobs; allowed: at most 100,000 jobs (it has 10000 seeds x 11 values of learning_rates)",
        ),
        # They are counted, not made.
        (
            {"learning_rates": "linear:1..2:1000", "epochs": "linear:1..1000:1000", "limit": "linear:1..1000:1000"},
            "the sweep is one of 5,000,000,000 jobs; allowed: at most 100,000 jobs (it has 5 seeds x 1000 values of "
            "learning_rates x 1000 values of epochs x 1000 values of limit)",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(words: dict[str, object], sentence: str) -> None:
    assert sentence in refusal_of(words)
    assert len(refusal_of(words)) < 400


def test_zipped_names_that_are_no_options_cost_nothing() -> None:
    unknown = "allowed: options of network"
    for zipped, refusal in (
        ([",".join(f"a{number}" for number in range(10_000))], unknown),
        (["seed"], unknown),
        (["epochs,limit", "epochs"], "allowed: different options with equally many values"),
    ):
        with pytest.raises(ValidationError, match=refusal):
            SweepSpecification(seeds=(0,), zipped=zipped)


@pytest.mark.parametrize(
    ("beside", "refusal"),
    [
        # A range may have no more points than the other option has values.
        (["limit@epochs=log:1..2:100000"], r"@epochs=log:1\.\.2:100000; allowed: @epochs=1,2"),
        (["limit@epochs=1", "epochs@limit=5"], "beside is a circle of conditions; allowed: conditions without one"),
    ],
)
def test_conditions_that_would_cost_too_much_are_refused(beside: list[str], refusal: str) -> None:
    with pytest.raises(ValidationError, match=refusal):
        SweepSpecification.model_validate({"seeds": [0], "grid": {"epochs": [1, 2], "limit": [5, 6]}, "beside": beside})


def test_the_default_is_the_main_job() -> None:
    made = specification({})

    assert made.seeds == (0, 1, 2, 3, 4)
    assert made.grid == {"learning_rate": (0.003, 0.01, 0.03, 0.1)}
    assert made.options["epochs"] == 10
    assert made.size == 20


def test_any_option_can_be_an_axis() -> None:
    made = SweepSpecification.model_validate(
        {"seeds": [1, 0], "options": {"limit": 5}, "grid": {"shuffle": [True, False], "epochs": [3, 2], "dtype":
         ["float64"], "learning_rate": [0.5]}}
    )  # fmt: skip

    # The model's order, the values as given; a single value does not vary.
    assert tuple(made.grid) == ("epochs", "shuffle")
    assert (made.size, made.values("epochs"), made.values("dtype")) == (8, (3, 2), ("float64",))
    assert list(made.options) == [name for name in NetworkOptions.model_fields if name not in made.grid]
    assert made.options["learning_rate"] == 0.5
    points = [(3, True), (3, False), (2, True), (2, False)]
    assert [tuple(point.items()) for point in made.points()] == [(("epochs", e), ("shuffle", s)) for e, s in points]


@pytest.mark.parametrize(
    ("words", "grid"),
    [
        ({"epochs": "5,10"}, {"epochs": (5, 10)}),
        ({"epochs": ("10", "5,7")}, {"epochs": (10, 5, 7)}),
        ({"epochs": [5, "7,9"]}, {"epochs": (5, 7, 9)}),
        ({"epochs": "5"}, {}),
        ({"loss": "cross_entropy,sum_of_squares"}, {"loss": ("cross_entropy", "sum_of_squares")}),
        ({"loss": ("sum_of_squares", "cross_entropy")}, {"loss": ("sum_of_squares", "cross_entropy")}),
        ({"shuffle": (True, False)}, {"shuffle": (True, False)}),
        ({"shuffle": "false,true"}, {"shuffle": (False, True)}),
        ({"limit": "none,100"}, {"limit": (None, 100)}),
        ({"hidden": ("128,64", "256, 64")}, {"hidden_layer_sizes": ((128, 64), (256, 64))}),
        ({"hidden": [[128, 64], [256, 64]]}, {"hidden_layer_sizes": ((128, 64), (256, 64))}),
        ({"hidden_layer_sizes": [128, 64]}, {}),
        ({"learning_rate": "0.5,log:0.01..1:3"}, {"learning_rate": (0.5, 0.01, 0.1, 1.0)}),
        ({"epochs": "linear:1..9:3", "limit": "log:1..100:3"}, {"epochs": (1, 5, 9), "limit": (1, 10, 100)}),
    ],
)
def test_any_word_may_have_several_values(words: dict[str, object], grid: dict[str, object]) -> None:
    rates = {} if "learning_rate" in words else {"learning_rates": "0.1"}

    assert specification(parse(words | rates)).grid == grid


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"epochs": "5,10,5"}, (5, 10)),
        ({"shuffle": (True, True)}, (True,)),
        ({"hidden": ("8,4", "8,4")}, ((8, 4),)),
        ({"limit": "7,07,8,8"}, (7, 8)),
        ({"seeds": ("0-4", "2-9")}, tuple(range(10))),
        ({"epochs": "linear:1..2:4"}, (1, 2)),
    ],
)
def test_a_repeated_value_counts_once(words: dict[str, object], expected: tuple[object, ...]) -> None:
    assert list(parse(words).values()) == [expected]


@pytest.mark.parametrize(
    ("word", "text"),
    [("seeds", "0-4"), ("seeds", "0-1,3,5-6"), ("seeds", "4,2"), ("learning_rates", "0.003,1e-05"),
     ("hidden", "64,65"), ("epochs", "3"), ("epochs", "5,10"), ("limit", "none,7"), ("shuffle", "true,false"),
     ("learning_rates", "0.5,log:0.1..2"), ("loss", "sum_of_squares"), ("data", "openml")],
)  # fmt: skip
def test_what_is_written_can_be_typed(word: str, text: str) -> None:
    assert written(word, parse({word: text})[word]) == text

    # Values with commas of their own are written one by one.
    assert typed("hidden", parse({"hidden": ("8,4", "4,2")})["hidden"]) == ("8,4", "4,2")
    assert written("hidden", ((8, 4), (4, 2))) == "8,4 and 4,2"
