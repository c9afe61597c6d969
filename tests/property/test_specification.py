"""A sweep's words may come from any command line and any file: they are a specification, or one of them is named."""

import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from unittest.mock import Mock

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from nn.options.network import MAX_SEED, NetworkOptions
from orchestrator.cli import sweep as cli_sweep
from orchestrator.cli.main import run
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from tests.property.hostile import UNPRINTABLE, answer, damaged, odd_objects, patient, texts, toml_values
from tests.support.sweeps import FIELDS, flags_of, parse, read_file, specification, typed, value_of

#: TOML has no null.
NONE = '"none"'
words = st.sampled_from(sorted(FIELDS))
#: Text that looks like a list of numbers or ranges.
lists = st.text(alphabet="0123456789-,.e+ ", max_size=30) | st.sampled_from(["0-4294967295", "0-99999,0-99999", "5-1"])
ranges = st.from_regex(r"(log|linear):-?[0-9]{0,3}(\.[0-9]{1,3})?\.\.[0-9]{1,4}(:[0-9]{0,4})?", fullmatch=True)
typed_values = texts | lists | ranges | st.booleans()
flags = st.dictionaries(
    words | texts, typed_values | st.lists(typed_values, min_size=2, max_size=4).map(tuple), max_size=4
)
#: What a file may say.
tables = st.dictionaries(words | texts, toml_values | lists | odd_objects, max_size=4)

EXAMPLE = b'seeds = "0-4"\nlearning_rates = [0.003, 0.1]\nepochs = 3\nhidden = [16, 8]\nshuffle = true\nlimit = 100\n'
SECTIONS = (
    b'seeds = [0, 4]\n[grid]\nlearning_rate = "log:0.001..0.1:3"\nhidden = [[8, 4], [4, 2]]\n[options]\nepochs = 3\n'
)
DESCRIPTION = b'{"name": "a", "specification": {"seeds": [1], "options": {"epochs": 2}, "grid": {"limit": [5, null]}}}'


@patient
@given(flags | tables)
@example({"seeds": "0-99999", "learning_rates": [0.1, 0.2]})
@example({"seeds": ["0-99999"] * 100_000})
@example({"seeds": "0," * 1_000_000})
@example({"loss": {1, 2}})
def test_flags_and_tables(given_words: dict[str, Any]) -> None:
    made = answer(lambda: specification(parse(given_words)), error=InvalidInputError)
    if made is None:
        return
    assert 1 <= made.size <= MAX_JOBS
    if made.size <= 100:
        # Every specification that was taken is one of valid jobs, none of them twice.
        assert len({job.key for job in made.jobs(MNIST_DIGEST)}) == made.size


@patient
@given(
    st.one_of(map(damaged, (EXAMPLE, SECTIONS, DESCRIPTION)))
    | st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
@example(b"[" * 100_000)
@example(b"seeds = " + b"[" * 5_000)
@example(b"epochs = " + b"9" * 100_000)
@example(b"seeds." + b"a." * 5_000 + b"a = 1")
@example(b"[" + b"a. " * 5_000 + b"a]")
@example(b"seeds = {" + b"'=,' ." * 5_000 + b"a = 1}")
@example(b"".join(b"a%d=%d\n" % (i, i) for i in range(10_000)))
@example(b'{"a":' * 100_000)
@example(b'{"specification": {"epochs": ' + b"9" * 100_000 + b"}}")
@example(b"[grid]\nlearning_rate = 'linear:1..2:100000'")
@example(EXAMPLE)
@example(SECTIONS)
@example(DESCRIPTION)
def test_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "sweep.toml"
    file.write_bytes(content)
    answer(lambda: specification(read_file(file)), error=InvalidInputError)


def test_an_integer_that_cannot_be_printed_is_refused_in_a_sentence() -> None:
    for word in FIELDS:
        for value in (UNPRINTABLE, [UNPRINTABLE], {"a": UNPRINTABLE}):
            assert answer(lambda word=word, value=value: parse({word: value}), error=InvalidInputError) is None


def test_the_examples_are_some(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    for content, size in ((EXAMPLE, 10), (SECTIONS, 12), (DESCRIPTION, 8)):
        file.write_bytes(content)
        assert specification(read_file(file)).size == size


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values that an option of this type allows, whatever its bounds are."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is Annotated:
        return values_of(arguments[0])
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin in (Union, UnionType):
        return st.one_of(st.none() if each is NoneType else values_of(each) for each in arguments)
    return {bool: st.booleans(), int: st.integers(1, 1000), float: st.floats(1e-9, 0.99)}[annotation]


@st.composite
def specifications(draw: st.DrawFn) -> SweepSpecification:
    """Any specification of few jobs, with up to three axes."""
    several = draw(st.sets(st.sampled_from(sorted(NetworkOptions.model_fields)), max_size=3))
    grid = {
        name: draw(st.lists(values_of(info.annotation), min_size=1, max_size=3 if name in several else 1, unique=True))
        for name, info in NetworkOptions.model_fields.items()
    }
    seeds = draw(st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=4, unique=True))
    return SweepSpecification.model_validate({"seeds": seeds, "options": {}, "grid": grid})


def toml(made: SweepSpecification) -> str:
    """Return a specification file of the same meaning."""

    def lines(values: dict[str, Any]) -> list[str]:
        return [f"{name} = {json.dumps(value).replace('null', NONE)}" for name, value in values.items()]

    seeds = f"seeds = {json.dumps(made.seeds)}"
    return "\n".join([seeds, "[options]", *lines(made.options), "[grid]", *lines(made.grid)])


@patient
@given(specifications())
def test_any_specification_survives_its_file_its_words_and_its_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: SweepSpecification
) -> None:
    text = made.model_dump_json()
    assert SweepSpecification.model_validate_json(text) == made
    for name, content in {"sweep.json": f'{{"specification": {text}}}', "sweep.toml": toml(made)}.items():
        (tmp_path / name).write_text(content)
        assert specification(read_file(tmp_path / name)) == made
    values = {word: value_of(made, word) for word in FIELDS}
    assert (
        specification(parse({word: typed(word, value) for word, value in values.items() if value is not None})) == made
    )

    planned = Mock(side_effect=typer.Exit)
    monkeypatch.setattr(cli_sweep, "make_plan", planned)
    assert run(["sweep", *flags_of(made)]) == 0
    assert specification(parse(planned.call_args.args[0].given)) == made


@patient
@given(specifications())
def test_every_beginning_of_a_sweep_is_balanced(made: SweepSpecification) -> None:
    jobs = made.jobs(MNIST_DIGEST)
    expected = [(seed, made.options | point) for seed in made.seeds for point in made.points()]

    assert len(jobs) == made.size
    assert [(job.seed, job.options.model_dump()) for job in jobs] == expected
