"""A sweep's words may come from any command line and any file: they are a specification, or one of them is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from orchestrator.sweeps.fields import FIELDS, parse, specification
from orchestrator.sweeps.files import read_file
from orchestrator.sweeps.specification import MAX_JOBS
from tests.property.hostile import UNPRINTABLE, answer, damaged, odd_objects, texts, thorough, toml_values

words = st.sampled_from(sorted(FIELDS))
#: Text that looks like a list of numbers or ranges.
lists = st.text(alphabet="0123456789-,.e+ ", max_size=30) | st.sampled_from(["0-4294967295", "0-99999,0-99999", "5-1"])
flags = st.dictionaries(words | texts, texts | lists, max_size=4)
tables = st.dictionaries(words | texts, toml_values | lists | odd_objects, max_size=4)

EXAMPLE = b'seeds = "0-4"\nlearning_rates = [0.003, 0.1]\nepochs = 3\nhidden = [16, 8]\nshuffle = true\nlimit = 100\n'


def check_made(given_words: dict[str, Any]) -> None:
    made = answer(lambda: specification(parse(given_words)), error=InvalidInputError)
    if made is None:
        return
    assert 1 <= made.size <= MAX_JOBS
    if made.size <= 100:
        # Every specification that was taken is one of valid jobs, none of them twice.
        assert len({job.key for job in made.jobs(MNIST_DIGEST)}) == made.size


@thorough
@given(flags)
def test_flags(given_words: dict[str, Any]) -> None:
    check_made(given_words)


@thorough
@given(tables)
@example({"seeds": "0-99999", "learning_rates": [0.1, 0.2]})
@example({"seeds": ["0-99999"] * 100_000})
@example({"seeds": "0," * 1_000_000})
def test_tables(given_words: dict[str, Any]) -> None:
    check_made(given_words)


@thorough
@given(
    damaged(EXAMPLE) | st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
@example(b"[" * 100_000)
@example(b"seeds = " + b"[" * 5_000)
@example(b"epochs = " + b"9" * 100_000)
@example(b"seeds." + b"a." * 5_000 + b"a = 1")
@example(b"[" + b"a. " * 5_000 + b"a]")
@example(b"seeds = {" + b"'=,' ." * 5_000 + b"a = 1}")
@example(b"".join(b"a%d=%d\n" % (i, i) for i in range(10_000)))
@example(EXAMPLE)
def test_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "sweep.toml"
    file.write_bytes(content)
    answer(lambda: specification(read_file(file)), error=InvalidInputError)


def test_an_integer_that_cannot_be_printed_is_refused_in_a_sentence() -> None:
    for word in FIELDS:
        for value in (UNPRINTABLE, [UNPRINTABLE], {"a": UNPRINTABLE}):
            assert answer(lambda word=word, value=value: parse({word: value}), error=InvalidInputError) is None


def test_the_example_is_one(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_bytes(EXAMPLE)
    assert specification(read_file(file)).size == 10
