"""A sweep specification: what its words may be, and the jobs that it stands for."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from nn.options.network import MAX_SEED, NetworkOptions
from orchestrator.sweeps.builder import specification
from orchestrator.sweeps.fields import vocabulary
from orchestrator.sweeps.files import read_file
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from tests.support.sweeps import sweep_of

FIELDS = vocabulary().words
parse = vocabulary().parse
typed = vocabulary().typed
written = vocabulary().written


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


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[("seeds", bad) for bad in ("", ",", "5-2", "-1", "a", "1.5", "1--2", "1-2-3", "0,", [], [True], None, "٣")],
        *[("seeds", bad) for bad in (str(MAX_SEED + 1), f"0-{MAX_SEED + 1}", "9" * 5000, f"0-{MAX_SEED}", "0-100000")],
        *[("learning_rates", bad) for bad in ("0", "-0.1", "nan", "inf", "1e999", "fast", "", "0.1,", [], True, None)],
        *[("learning_rates", bad) for bad in ("1_0", "٣", "0,1_0", "--1", "1e")],
        *[("epochs", bad) for bad in ("0", "-3", "1.5", "ten", "", "100001", 0, 2.5, True, "9" * 5000)],
        *[("hidden", bad) for bad in ("128", "128,64,32", "0,64", "128,-1", "128,5000", "a,b", "", 128)],
        *[("limit", bad) for bad in ("0", "-1", "all", str(2**31))],
        ("loss", "mse"),
        ("rule", "Backprop"),
        ("engine", "gpu"),
        ("dtype", "float16"),
        ("shuffle", "yes"),
        ("data", ""),
        ("data", "a\0b"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(word: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse({word: value})

    sentence = str(refusal.value)
    assert sentence.startswith(f"--{word.replace('_', '-')} is ")
    assert "; allowed: " in sentence
    assert "\n" not in sentence
    assert len(sentence) < 250


def test_an_unknown_word_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"'sedes'; allowed: trainer, seeds, learning_rates.*mean seeds\?\)$"):
        parse({"sedes": "0-4"})
    with pytest.raises(InvalidInputError, match=r"'gpu'; allowed: trainer, seeds, learning_rates.*, data, sampler,.*$"):
        parse({"gpu": "0-4"})


#: What numbers and lists are made of, and a few characters that are none of it.
TEXTS = st.text("0123456789-,.+eEinfa_ x\0٣", max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), TEXTS | st.integers() | st.floats() | st.lists(TEXTS)))
def test_any_input_gives_a_value_or_our_error(words: dict[str, object]) -> None:
    # Any other exception fails the test.
    with contextlib.suppress(InvalidInputError):
        assert 1 <= specification(parse(words)).size <= MAX_JOBS


def test_a_sweep_of_too_many_jobs_is_refused() -> None:
    words = {"seeds": "0-9999", "learning_rates": [rate / 100 for rate in range(1, 12)]}
    with pytest.raises(
        InvalidInputError, match=r"110,000 jobs; allowed: at most 100,000 jobs \(it has 10000 seeds x 11 "
    ):
        specification(parse(words))


def test_the_default_is_the_main_job() -> None:
    made = specification({})

    assert made.seeds == (0, 1, 2, 3, 4)
    assert made.grid == {"learning_rate": (0.003, 0.01, 0.03, 0.1)}
    assert made.options["epochs"] == 10
    assert made.size == 20


def test_jobs_come_seed_by_seed_with_the_same_seeds_for_every_configuration() -> None:
    jobs = sweep_of(seeds=(4, 2), learning_rates=(0.1, 0.01)).jobs(MNIST_DIGEST)

    assert [(job.seed, job.options.learning_rate) for job in jobs] == [(4, 0.1), (4, 0.01), (2, 0.1), (2, 0.01)]


def test_any_option_can_be_an_axis() -> None:
    made = SweepSpecification.model_validate(
        {"seeds": [1, 0], "options": {"limit": 5}, "grid": {"shuffle": [True, False], "epochs": [3, 2], "dtype":
         ["float64"], "learning_rate": [0.5]}}
    )  # fmt: skip

    # The model's order, the values as given; a single value does not vary.
    assert made.axes == ("epochs", "shuffle")
    assert (made.size, made.values("epochs"), made.values("dtype")) == (8, (3, 2), ("float64",))
    assert list(made.options) == [name for name in NetworkOptions.model_fields if name not in made.axes]
    assert made.options["learning_rate"] == 0.5
    configurations = list(made.configurations())
    assert [(each["epochs"], each["shuffle"]) for each in configurations] == [
        (3, True), (3, False), (2, True), (2, False)
    ]  # fmt: skip
    assert all(list(each) == list(NetworkOptions.model_fields) for each in configurations)
    jobs = made.jobs(MNIST_DIGEST)
    assert [job.seed for job in jobs] == [1] * 4 + [0] * 4
    assert [job.options.model_dump() for job in jobs] == configurations * 2


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
    ("words", "note"),
    [
        ({"epochs": "5,10,5"}, "--epochs has 1 value more than once, which counts once: 5"),
        ({"shuffle": (True, True)}, "--shuffle has 1 value more than once, which counts once: true"),
        ({"hidden": ("8,4", "8,4")}, "--hidden has 1 value more than once, which counts once: 8,4"),
        ({"limit": "7,07,8,8"}, "--limit has 2 values more than once, which count once: 7, 8"),
        ({"seeds": ("0-4", "2-9")}, "--seeds has 3 values more than once, which count once: 2, 3, 4"),
        ({"seeds": "0-4,0-4"}, "--seeds has 5 values more than once, which count once: 0, 1, 2, ..."),
        ({"epochs": "linear:1..2:4"}, "--epochs has 2 values more than once, which count once: 1, 2"),
    ],
)  # fmt: skip
def test_a_repeated_value_is_dropped_and_said(words: dict[str, object], note: str) -> None:
    notes: list[str] = []

    values = parse(words, tell=notes.append)

    assert notes == [note]
    assert len(set(next(iter(values.values())))) == len(next(iter(values.values())))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"epochs": "5,0"}, "--epochs is '5,0'; allowed: integers from 1 to 100000, separated by commas"),
        # Of a repeated flag, the message shows the value that is not allowed.
        ({"hidden": ("128,64", "0,64")}, "--hidden is '0,64'; allowed: two integers from 1 to 4096, such as 128,64"),
        ({"hidden": "128,64,256,64"}, "--hidden is '128,64,256,64'; allowed: two integers from 1 to 4096, such as"),
        ({"hidden": ("128", "64")}, "--hidden is '128'; allowed: two integers from 1 to 4096, such as 128,64"),
        ({"loss": ("cross_entropy", "")}, "--loss is ''; allowed: cross_entropy or sum_of_squares"),
        ({"loss": "log:1..2:3"}, "--loss is 'log:1..2:3'; allowed: cross_entropy or sum_of_squares"),
        ({"learning_rates": "0.1,log:0.3..0.1:5"}, "--learning-rates is '0.1,log:0.3..0.1:5'; allowed: a range"),
        ({"learning_rates": "linear:0..1:5"}, "--learning-rates is 'linear:0..1:5'; allowed: finite numbers"),
        ({"learning_rates": "linear:1..2:1000000000"}, "is 'linear:1..2:1000000000'; allowed: a range of 2 to 100,000"),
        ({"epochs": "linear:0.5..3:3"}, "--epochs is 'linear:0.5..3:3'; allowed: integers from 1 to 100000"),
        ({"learning_rates": ",".join(["0.1"] * 100_001)}, "at most 100,000 values"),
        ({"data": ("bundled", "openml")}, '--data is ["bundled", "openml"]; allowed: one data set'),
        ({"learning_rate": "1", "learning_rates": "2"}, "given twice; allowed: either learning_rates or learning_rate"),
    ],
)  # fmt: skip
def test_an_axis_with_a_value_that_is_not_allowed_is_refused(words: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse(words)
    assert sentence in str(refusal.value)


def test_a_range_without_a_number_of_points_makes_no_grid() -> None:
    with pytest.raises(
        InvalidInputError, match=r"^learning_rates is 'log:0.1..1'; allowed: in a grid, a range with a num"
    ):
        specification(parse({"learning_rates": "log:0.1..1"}))


def test_a_billion_configurations_are_refused_by_their_number() -> None:
    words = {"learning_rates": "linear:1..2:1000", "epochs": "linear:1..1000:1000", "limit": "linear:1..1000:1000"}

    with pytest.raises(InvalidInputError) as refusal:
        specification(parse(words))

    assert str(refusal.value) == (
        "the sweep is one of 5,000,000,000 jobs; allowed: at most 100,000 jobs (it has 5 seeds x 1000 values of "
        "learning_rates x 1000 values of epochs x 1000 values of limit)"
    )


def test_every_word_reaches_the_job() -> None:
    words = {
        "seeds": "3",
        "learning_rates": "0.5",
        "epochs": "7",
        "hidden": "32,16",
        "loss": "sum_of_squares",
        "rule": "notebook",
        "engine": "numpy",
        "dtype": "float64",
        "shuffle": True,
        "limit": "100",
        "initialization": "he_uniform",
        "initial_scale": "0.5",
    }
    (job,) = specification(parse(words)).jobs(MNIST_DIGEST)

    assert (job.trainer, job.seed, job.dataset, job.version) == ("network", 3, MNIST_DIGEST, 2)
    assert job.options.model_dump() == {
        "learning_rate": 0.5,
        "epochs": 7,
        "hidden_layer_sizes": (32, 16),
        "loss": "sum_of_squares",
        "rule": "notebook",
        "engine": "numpy",
        "dtype": "float64",
        "shuffle": True,
        "limit": 100,
        "initialization": "he_uniform",
        "initial_scale": 0.5,
        "biases": False,
        "test_size": 0,
    }


def test_a_specification_survives_its_json() -> None:
    made = specification(parse({"seeds": "0-2", "learning_rates": "0.1", "limit": 5}))

    assert SweepSpecification.model_validate_json(made.model_dump_json()) == made


def test_a_toml_file_has_the_same_words(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('seeds = "0-2"\nlearning_rates = [0.1, 0.01]\nhidden = [32, 16]\nepochs = 3\nshuffle = true\n')

    assert read_file(file) == {
        "seeds": (0, 1, 2),
        "learning_rates": (0.1, 0.01),
        "hidden": ((32, 16),),
        "epochs": (3,),
        "shuffle": (True,),
    }


@pytest.mark.parametrize("content", [b"seeds = ", b"\xff\xfe", b"epochs = 0", b"sedes = 1"])
def test_a_toml_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "sweep.toml"
    file.write_bytes(content)
    with pytest.raises(InvalidInputError) as refusal:
        read_file(file)
    assert str(refusal.value).count("\n") == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("seeds = 1979-05-27", "seeds in FILE is 1979-05-27; allowed: integers"),
        ("epochs = true", "epochs in FILE is true; allowed: integers"),
        ("learning_rates = [0.1, 1979-05-27]", 'learning_rates in FILE is [0.1, "1979-05-27"]; allowed: finite'),
        ("loss = {a = 07:32:00}", 'loss in FILE is {"a": "07:32:00"}; allowed: cross_entropy or'),
        ("rule = 'magic'", "rule in FILE is 'magic'; allowed: backprop or"),
        ("engine = 3", "engine in FILE is 3; allowed: compiled or"),
    ],
)
def test_a_value_of_a_toml_file_is_shown_as_it_stands_there(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(content)
    with pytest.raises(InvalidInputError) as refusal:
        read_file(file)
    assert str(refusal.value).startswith(sentence.replace("FILE", str(file)))


@pytest.mark.parametrize(
    ("word", "text"),
    [("seeds", "0-4"), ("seeds", "0-1,3,5-6"), ("seeds", "4,2"), ("learning_rates", "0.003,1e-05"),
     ("hidden", "64,65"), ("epochs", "3"), ("epochs", "5,10"), ("limit", "none,7"), ("shuffle", "true,false"),
     ("learning_rates", "0.5,log:0.1..2"), ("loss", "sum_of_squares"), ("data", "openml")],
)  # fmt: skip
def test_what_is_written_can_be_typed(word: str, text: str) -> None:
    assert written(word, parse({word: text})[word]) == text


def test_values_with_commas_of_their_own_are_written_one_by_one() -> None:
    assert typed("hidden", parse({"hidden": ("8,4", "4,2")})["hidden"]) == ("8,4", "4,2")
    assert written("hidden", ((8, 4), (4, 2))) == "8,4 and 4,2"


def test_a_missing_toml_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"--spec.*No such file"):
        read_file(tmp_path / "none.toml")
