"""Reads the value of an option of any pydantic model from text (a flag's) or from a TOML or JSON type."""

from __future__ import annotations

import contextlib
import csv
import re
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from nn.options.describe import members, option

#: No integer here has more digits; `int()` of a million digits takes minutes.
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
#: `float()` would also read `1_0`, and the digits of other scripts.
_NUMBER = re.compile(r"[0-9.eE+-]+", re.ASCII)
#: Most items of a tuple of any length.
_MOST_ITEMS = 1000
_WORDS = {"true": True, "false": False}


class Reader:
    """Reads values of one option: `Reader(NetworkOptions, "epochs")("10") == 10`.

    Attributes:
        kinds: The types of a value that is not None: `int`, `float`, `bool`, `tuple`, or `str` for words and text.
        kind: The first of them; `tuple` if it is among them, because such a value has commas of its own.
    """

    def __init__(self, model: type[BaseModel], name: str) -> None:
        info = model.model_fields[name]
        self._annotation = info.annotation
        types = (kind for kind, _ in members(info.annotation) if kind is not NoneType)
        self.kinds = tuple(dict.fromkeys(_plain(kind) for kind in types))
        self.kind = tuple if tuple in self.kinds else self.kinds[0]
        annotated: Any = Annotated[info.annotation, option(info), *info.metadata]
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotated)

    def __call__(self, value: object) -> Any:
        """Return the value in the option's type.

        Raises:
            ValueError: the option does not allow the value.
            OverflowError: an integer is too large for a floating-point number.
        """
        return self._adapter.validate_python(_typed(self._annotation, value), strict=True)


def _plain(kind: Any) -> type:
    return tuple if get_origin(kind) is tuple else kind if kind in (bool, int, float) else str


def parts(value: object, most: int) -> list[object]:
    """Split a list, or a text at its commas, into its items; a text gives at most one more than `most`.

    A comma between double quotes does not split, and two quotes between quotes are one; quotes that do not surround an
    item are part of its text.
    """
    if isinstance(value, str):
        if '"' in value:
            with contextlib.suppress(csv.Error):
                (items,) = csv.reader([value], skipinitialspace=True, strict=True)
                return [item.strip() for item in items[: most + 1]]
        return [part.strip() for part in value.split(",", most)]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def quoted(text: str) -> str:
    """Return a text as `parts` reads it: in quotes, if it has commas or quotes."""
    escaped = text.replace('"', '""')
    return f'"{escaped}"' if "," in text or '"' in text else text


def _typed(annotation: Any, value: object) -> object:
    """Turn text into the annotated type if it has that form; leave anything else to pydantic."""
    kinds = [kind for kind, _ in members(annotation)]
    if NoneType in kinds and value in (None, "none"):
        return None
    # Text is read by the first type whose form it has. A list here has too many or too few items for a tuple.
    read = [_read(kind, value) for kind in kinds if kind is not NoneType]
    if len(kinds) == 1:
        return read[0]
    return next((each for each in read if each is not value and not isinstance(each, list)), value)


def _read(kind: Any, value: object) -> object:
    if get_origin(kind) is tuple:
        arguments = get_args(kind)
        if arguments[-1:] == (Ellipsis,):
            items = [] if value in ("", "()") else parts(value, _MOST_ITEMS)
            arguments = arguments[:1] * min(len(items), _MOST_ITEMS)
        else:
            items = parts(value, len(arguments))
        return tuple(map(_typed, arguments, items)) if len(items) == len(arguments) else items
    if not isinstance(value, str):
        return value
    text = value.strip()
    if kind is bool:
        return _WORDS.get(text, value)
    if kind is int and _INTEGER.fullmatch(text):
        return int(text)
    if kind is float and _NUMBER.fullmatch(text):
        return float(text)
    return value
