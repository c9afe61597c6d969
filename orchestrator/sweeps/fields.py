"""Reads the words of a sweep specification, from flags or a TOML file, into checked values."""

from __future__ import annotations

import datetime
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from nn.errors import InvalidInputError
from nn.files import read_regular
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from orchestrator.text import counted
from worker.job import DType, EngineName, Loss, Rule
from worker.validation import Described

MAX_SEED = 2**32 - 1
#: More than 100,000 seeds and as many learning rates take.
MAX_TOML_BYTES = 4 * 2**20
#: tomllib's memory grows with the square of the parts of a dotted key, and no word of ours has a second part.
MAX_DOTS = 16
_BETWEEN_KEYS = re.compile(r"[\n,=\[\]]")
_DOTS = re.compile(r"(?<!\.)\.(?!\.)")
_DOT_AFTER_QUOTE = re.compile(r"[\"'][ \t]*\.")
_SEEDS = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)
#: Digits that any count here can have: int() of a text of a million digits would take minutes.
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
#: float() would take 1_0, and digits of other scripts, too.
_NUMBER = re.compile(r"[0-9.eE+-]+", re.ASCII)


class _Refused(ValueError):  # noqa: N818 - a signal between this module's functions
    """A value that is not allowed, for a reason that the field's own words do not cover."""


def _parts(value: object) -> list[object]:
    """Split a list, or a text at its commas, into its items."""
    if isinstance(value, str):
        # One more than any list may have is enough to refuse it.
        return [part.strip() for part in value.split(",", MAX_JOBS)]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    """Drop repetitions, keeping the order: a sweep is a set of jobs."""
    return tuple(dict.fromkeys(values))


def _integer(value: object, low: int, high: int) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError
    return value


def _seeds(value: object) -> tuple[int, ...]:
    ranges = []
    total = 0
    for part in _parts(value):
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
            raise _Refused(f"at most {MAX_JOBS:,} seeds")
    if not ranges:
        raise ValueError
    return _unique(seed for seeds in ranges for seed in seeds)


def _learning_rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueError
    rate = float(value)
    if not (math.isfinite(rate) and rate > 0.0):
        raise ValueError
    return rate


def _learning_rates(value: object) -> tuple[float, ...]:
    rates = _unique(_learning_rate(part) for part in _parts(value))
    if not rates:
        raise ValueError
    return rates


def _hidden(value: object) -> tuple[int, int]:
    first, second = (_integer(part, 1, 4096) for part in _parts(value))
    return first, second


def _choice(names: tuple[str, ...]) -> Callable[[object], object]:
    def parse(value: object) -> object:
        if value not in names:
            raise ValueError
        return value

    return parse


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _data(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    if value in ("bundled", "openml"):
        return value
    path = str(Path(value).expanduser().resolve())
    # A path of bytes that are no text could not be written down in `sweep.json`.
    path.encode()
    return path


#: Each word of a specification: how it is read, and what it may be.
FIELDS: dict[str, tuple[Callable[[object], object], str]] = {
    "seeds": (_seeds, f"integers from 0 to {MAX_SEED} and rising ranges of them, such as 0-4 or 0,3,7"),
    "learning_rates": (_learning_rates, "finite numbers greater than 0, separated by commas"),
    "epochs": (lambda value: _integer(value, 1, 100_000), "an integer from 1 to 100000"),
    "hidden": (_hidden, "two layer widths from 1 to 4096, such as 128,64"),
    "loss": (_choice(get_args(Loss)), " or ".join(get_args(Loss))),
    "rule": (_choice(get_args(Rule)), " or ".join(get_args(Rule))),
    "engine": (_choice(get_args(EngineName)), " or ".join(get_args(EngineName))),
    "dtype": (_choice(get_args(DType)), " or ".join(get_args(DType))),
    "shuffle": (_flag, "true or false"),
    "limit": (lambda value: _integer(value, 1, 2**31 - 1), "an integer from 1 to 2147483647"),
    "data": (_data, "bundled, openml, or a folder with the four IDX files"),
}


def flag(word: str) -> str:
    """Return the command line's spelling of a word."""
    return "--" + word.replace("_", "-")


def parse(words: Mapping[str, object], spell: Callable[[str], str] = flag) -> dict[str, Any]:
    """Check every given word and return its value.

    Args:
        words: Values as text (from flags) or as TOML types.
        spell: How the user wrote a word, for messages.

    Raises:
        InvalidInputError: an unknown word, or a value that is not allowed.
    """
    values = {}
    for word, value in words.items():
        if word not in FIELDS:
            raise InvalidInputError("a word of the specification", word, ", ".join(FIELDS))
        read, allowed = FIELDS[word]
        try:
            values[word] = read(value)
        except _Refused as refused:
            raise InvalidInputError(spell(word), _as_given(value), str(refused)) from None
        except (ValueError, TypeError, OverflowError, OSError, RuntimeError):
            raise InvalidInputError(spell(word), _as_given(value), allowed) from None
    return values


def _as_given(value: object) -> object:
    """Return what stands for a value in a message: text as it is, anything else as a file has it."""
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
    if word == "shuffle":
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a specification file: the words of `FIELDS`, at its top level.

    Raises:
        InvalidInputError: the file cannot be read, is not TOML, or a word in it is not allowed.
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
        raise ValueError(f"a name in it has more than {MAX_DOTS} dots")


def specification(values: Mapping[str, Any]) -> SweepSpecification:
    """Make a specification of checked values; what is missing has its default.

    Raises:
        InvalidInputError: more jobs than a sweep may have.
    """
    made = SweepSpecification(**values)
    if made.size > MAX_JOBS:
        shown = f"{counted(len(made.seeds), 'seed')} x {counted(len(made.learning_rates), 'learning rate')}"
        raise InvalidInputError("the sweep", shown, f"at most {MAX_JOBS:,} jobs")
    return made
