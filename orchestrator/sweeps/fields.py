"""Reads the words of a sweep's specification, from flags or a TOML file, into checked values.

The words are `seeds`, `data`, and one for each training option.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nn.errors import Described, InvalidInputError
from nn.files import read_regular
from nn.options.describe import allowed, heading, help_text, option, word
from nn.options.describe import written as written_option
from nn.options.network import MAX_SEED, NetworkOptions
from nn.options.values import Reader, parts
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from orchestrator.text import counted

#: Enough for 100,000 seeds and as many learning rates.
MAX_TOML_BYTES = 4 * 2**20
#: tomllib's memory grows with the square of the parts of a dotted key; none of our words has a second part.
MAX_DOTS = 16
_BETWEEN_KEYS = re.compile(r"[\n,=\[\]]")
_DOTS = re.compile(r"(?<!\.)\.(?!\.)")
_DOT_AFTER_QUOTE = re.compile(r"[\"'][ \t]*\.")
_SEEDS = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)


@dataclass(frozen=True)
class Word:
    """A word of a specification.

    Attributes:
        read: Returns the checked value of a text or a TOML value, or raises an exception.
        allowed: The values that are allowed, as the end of a sentence.
        help: The help of the word's flag.
        option: The training option that the word fixes or varies; None for `seeds` and `data`.
        is_switch: Whether the flag is a pair `--word/--no-word`.
    """

    read: Callable[[object], Any]
    allowed: str
    help: str
    option: str | None = None
    is_switch: bool = False


class _TooManyError(ValueError):
    """More values than a word may have. Never leaves this module."""


def words_of(model: type[BaseModel]) -> dict[str, Word]:
    """Return the words for the options of a model."""
    return {word(model, name): _word(model, name) for name in model.model_fields}


def _word(model: type[BaseModel], name: str) -> Word:
    info, read = model.model_fields[name], Reader(model, name)
    if option(info).values:
        sentence = f"{allowed(info, several=True)}, separated by commas"
        return Word(lambda value: _several(read, value), sentence, help_text(model, name), name)
    sentence = allowed(info)
    if isinstance(info.default, tuple):
        sentence = f"{sentence}, such as {written_option(info.default)}"
    return Word(read, sentence, help_text(model, name), name, is_switch=info.annotation is bool)


def _several(read: Reader, value: object) -> tuple[Any, ...]:
    # One value more than allowed is enough to reject a list.
    values = _unique(read(part) for part in parts(value, MAX_JOBS))
    if not values:
        raise ValueError
    return values


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    """Drop repeated values and keep the order: a sweep is a set of jobs."""
    return tuple(dict.fromkeys(values))


def _seeds(value: object) -> tuple[int, ...]:
    ranges = []
    total = 0
    for part in parts(value, MAX_JOBS):
        match = _SEEDS.fullmatch(str(part))
        if match is None or isinstance(part, bool):
            raise ValueError
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if not first <= last <= MAX_SEED:
            raise ValueError
        ranges.append(range(first, last + 1))
        total += len(ranges[-1])
        if total > MAX_JOBS:
            raise _TooManyError(f"at most {MAX_JOBS:,} seeds")
    if not ranges:
        raise ValueError
    return _unique(seed for seeds in ranges for seed in seeds)


def _data(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    if value in ("bundled", "openml"):
        return value
    path = str(Path(value).expanduser().resolve())
    # A path of bytes that are not text cannot be written to `sweep.json`.
    path.encode()
    return path


#: Every word of a specification.
FIELDS: dict[str, Word] = {
    "seeds": Word(
        _seeds,
        f"integers from 0 to {MAX_SEED} and rising ranges of them, such as 0-4 or 0,3,7",
        "Seeds: 0-4, 0,3,7, or both mixed.  [default: 0-4]",
    ),
    **words_of(NetworkOptions),
    "data": Word(
        _data,
        "bundled, openml, or a folder with the four IDX files",
        "Data set: bundled, openml, or a folder with the four IDX files.  [default: bundled]",
    ),
}


def flag(word: str) -> str:
    """Return the command line's spelling of a word."""
    return "--" + word.replace("_", "-")


def parse(words: Mapping[str, object], spell: Callable[[str], str] = flag) -> dict[str, Any]:
    """Check words and return their values.

    Args:
        words: Values as text (from flags) or as TOML types.
        spell: Returns a word as the user wrote it, for messages.

    Raises:
        InvalidInputError: a word is unknown, or its value is not allowed.
    """
    values = {}
    for name, value in words.items():
        if name not in FIELDS:
            raise InvalidInputError("a word of the specification", name, ", ".join(FIELDS))
        try:
            values[name] = FIELDS[name].read(value)
        except _TooManyError as error:
            raise InvalidInputError(spell(name), _as_given(value), str(error)) from None
        except (ValueError, TypeError, OverflowError, OSError, RuntimeError):
            raise InvalidInputError(spell(name), _as_given(value), FIELDS[name].allowed) from None
    return values


def _as_given(value: object) -> object:
    """Return a value as a message shows it: text in quotes, anything else as a file has it."""
    if value is None or isinstance(value, (str, float)):
        return value
    try:
        return Described(json.dumps(value, default=_moment, ensure_ascii=False).strip('"'))
    except (ValueError, TypeError, RecursionError):
        return value


def _moment(value: object) -> str:
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError


def value_of(specification: SweepSpecification, word: str) -> Any:
    """Return the value that a word has in a specification, in the form that `parse` returns."""
    name = FIELDS[word].option
    if name is None:
        return getattr(specification, word)
    values = specification.values(name)
    return values if option(NetworkOptions.model_fields[name]).values else values[0]


def written(word: str, value: Any) -> str:
    """Return the value of a word as one can type it."""
    if word == "seeds":
        ranges: list[list[int]] = []
        for seed in value:
            if ranges and seed == ranges[-1][-1] + 1:
                ranges[-1] = [ranges[-1][0], seed]
            else:
                ranges.append([seed])
        return ",".join("-".join(map(str, ends)) for ends in ranges)
    return written_option(value)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a specification file: the words of `FIELDS`, at its top level.

    Raises:
        InvalidInputError: the file cannot be read, is not TOML, or has an invalid word.
    """
    try:
        text = read_regular(path, MAX_TOML_BYTES).decode()
        _refuse_long_keys(text)
        words = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, UnicodeDecodeError):
            reason = f"byte {error.start} is not UTF-8"
        raise InvalidInputError("--spec", str(path), f"a readable TOML file ({reason})") from None
    return parse(words, spell=lambda word: f"{word} in {path}")


def _refuse_long_keys(text: str) -> None:
    unquoted = max(len(_DOTS.findall(part)) for part in _BETWEEN_KEYS.split(text))
    if max(unquoted, len(_DOT_AFTER_QUOTE.findall(text))) > MAX_DOTS:
        raise ValueError(f"a key has more than {MAX_DOTS} dots")


def specification(values: Mapping[str, Any]) -> SweepSpecification:
    """Make a specification of the values that `parse` returned; a word that is missing has its default.

    Raises:
        InvalidInputError: the sweep has too many jobs.
    """
    own = {name: value for name, value in values.items() if FIELDS[name].option is None}
    chosen = {FIELDS[name].option: value for name, value in values.items() if name not in own}
    grid = {name: value for name, value in chosen.items() if option(NetworkOptions.model_fields[str(name)]).values}
    made = SweepSpecification.model_validate(
        {**own, "options": {name: value for name, value in chosen.items() if name not in grid}, "grid": grid}
    )
    if made.size > MAX_JOBS:
        axes = [counted(len(values), heading(NetworkOptions, name)) for name, values in made.grid.items()]
        shown = " x ".join([counted(len(made.seeds), "seed"), *axes])
        raise InvalidInputError("the sweep", shown, f"at most {MAX_JOBS:,} jobs")
    return made
