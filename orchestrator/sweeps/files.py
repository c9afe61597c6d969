"""Reads a specification file: TOML with the words of `orchestrator.sweeps.fields`, or a `sweep.json`.

Words may stand at the top level, where a list varies, or in sections: `[options]` fixes, `[grid]` varies.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nn.errors import Described, InvalidInputError, meant
from nn.files import json_values, read_regular
from nn.options.describe import quoted
from orchestrator.sweeps.axes import Listed
from orchestrator.sweeps.fields import Vocabulary
from orchestrator.sweeps.specification import MAX_JOBS
from worker.redis import limits

#: Enough for 100,000 seeds and as many learning rates. A key costs most, and so does a line that begins like a section.
MAX_TOML_BYTES, MAX_KEYS = 4 * 2**20, 10_000
#: The most values of a file; those of a `sweep.json` with the most jobs are fewer.
MAX_VALUES = 10 * MAX_JOBS
#: tomllib's memory grows with the square of the parts of a dotted key; none of our words has a second part.
MAX_DOTS = 16
SECTIONS = ("options", "grid")

_LONG_NUMBER = re.compile(r"(?<![0-9a-fA-F_])[0-9a-fA-F_]{1000}")
_KEY = re.compile(r"=|^[ \t]*\[", re.MULTILINE)
_BETWEEN_KEYS = re.compile(r"[\n,=\[\]]")
_DOTS = re.compile(r"(?<!\.)\.(?!\.)")
_DOT_AFTER_QUOTE = re.compile(r"[\"'][ \t]*\.")


class _Entry(NamedTuple):
    """A word as it stands in a file, in a section; None is the top level."""

    name: str
    value: object
    section: str | None

    @property
    def values(self) -> object:
        """The value, or several: in [grid], `[64, 128]` are two numbers, in [options] one pair."""
        return Listed(self.value) if self.section == "grid" and isinstance(self.value, list) else self.value

    def spelled(self, path: Path) -> str:
        """Return the word and its place, for messages."""
        return f"{self.name} in {'' if self.section is None else f'[{self.section}] of '}{path}"


class SpecificationFile:
    """A specification file with unchecked words: some of them decide which others are allowed.

    Args:
        path: The file; None for one without words.

    Attributes:
        words: Values by name; a list of one means its item.

    Raises:
        InvalidInputError: the file cannot be read, is neither TOML nor a `sweep.json`, or has an invalid section.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path or Path()
        self._entries = [] if path is None else list(_entries(_words(path), path))
        self.words = {
            entry.name: entry.value[0] if isinstance(entry.value, list) and len(entry.value) == 1 else entry.value
            for entry in self._entries
        }

    def values(self, vocabulary: Vocabulary) -> dict[str, Any]:
        """Return the values of the words, as `Vocabulary.parse` does. Arguments: see there.

        Raises:
            InvalidInputError: a word is unknown, invalid, or given twice.
        """
        path, entries = self._path, {}
        for entry in self._entries:
            word = vocabulary.known(entry.name, str(path))
            if word in entries:
                raise InvalidInputError(entry.spelled(path), Described("given twice"), "one line for each option")
            if entry.section is not None and vocabulary.words[word].option is None:
                raise InvalidInputError(entry.spelled(path), Described("misplaced"), "a line above all sections")
            entries[word] = entry
        words = {entry.name: entry.values for entry in entries.values()}
        values = vocabulary.parse(words, lambda name: f"{name} in {path}", where=str(path))
        for word, entry in entries.items():
            if entry.section == "options" and len(values[word]) > 1:
                shown = Described(vocabulary.written(word, values[word]))
                allowed = "one value (an option varies in the section [grid])"
                raise InvalidInputError(entry.spelled(path), shown, allowed)
        return values


def _words(path: Path) -> Mapping[str, Any]:
    try:
        text = (stored := read_regular(path, limits.MANIFEST)).decode()
        if json_values(stored) > MAX_VALUES or _LONG_NUMBER.search(text):
            raise ValueError("it has too many values, or a number of too many digits")
        if text.lstrip().startswith("{"):
            return _specification(json.loads(text))
        if len(text) > MAX_TOML_BYTES or len(_KEY.findall(text)) > MAX_KEYS:
            raise ValueError(f"allowed: at most {MAX_TOML_BYTES} characters and {MAX_KEYS} keys")
        unquoted = max(len(_DOTS.findall(part)) for part in _BETWEEN_KEYS.split(text))
        if max(unquoted, len(_DOT_AFTER_QUOTE.findall(text))) > MAX_DOTS:
            raise ValueError(f"a key has more than {MAX_DOTS} dots")
        return tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, UnicodeDecodeError):
            reason = f"byte {error.start} is not UTF-8"
        allowed = f"a readable TOML file, or a sweep's sweep.json ({reason})"
        raise InvalidInputError("spec", str(path), allowed) from None


def _specification(content: Any) -> Mapping[str, Any]:
    specification = content.get("specification") if isinstance(content, dict) else None
    if not isinstance(specification, dict):
        raise ValueError("it is JSON and has no specification")
    # What a sampler drew follows from the other words, or from the results. `--skip-invalid` is given again.
    rest = {name: value for name, value in specification.items() if name not in ("sampling", "drawn", "skip_invalid")}
    sampling = specification.get("sampling")
    if isinstance(fixed := rest.get("options"), dict):
        # As they are typed: in a file of TOML, commas of a text are in quotes.
        rest["options"] = {name: quoted(each) if isinstance(each, str) else each for name, each in fixed.items()}
    return {**rest, **sampling} if isinstance(sampling, dict) else rest


def _entries(content: Mapping[str, Any], path: Path) -> Iterator[_Entry]:
    sections = [f"[{each}]" for each in SECTIONS]
    for name, value in content.items():
        if name not in SECTIONS:
            # A section may have a name that is nearly right.
            if isinstance(value, Mapping) and (question := meant(f"[{name}]", sections)):
                raise InvalidInputError(
                    f"a section of {path}", Described(f"[{name[:40]}]"), " and ".join(sections) + question
                )
            yield _Entry(name, value, None)
            continue
        if not isinstance(value, Mapping):
            raise InvalidInputError(f"{name} in {path}", value, f"a section [{name}] with a line for each option")
        for inner, inner_value in value.items():
            yield _Entry(inner, inner_value, name)
