"""Describes the fields of any pydantic model of options: names, help, allowed values, and why a value is invalid.

It also reads a value from text (a flag's) or from a TOML or JSON type. Everything is derived from the field's own
definition: its type and bounds, its `description` (help), its `title` (heading), and an `Option` for the rest.
"""

import contextlib
import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from nn.errors import Described, InvalidInputError, clipped, printable

#: The least number of significant digits with which a float is shown; trailing zeros are left out.
DIGITS = 6

#: Most characters of the values that a flag's usage lists.
MOST_CHOICES = 40
#: Most faults of an untrusted text that are listed to tell the first one.
MOST_FAULTS = 1000

_COUNTS = {2: "two", 3: "three", 4: "four"}
#: No integer here has more digits; `int()` of a million digits takes minutes.
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
#: `float()` would also read `1_0`, and the digits of other scripts.
_NUMBER = re.compile(r"[0-9.eE+-]+", re.ASCII)
#: Most items of a tuple of any length.
_MOST_ITEMS = 1000


@dataclass(frozen=True, kw_only=True)
class Option:
    """Metadata of an option, for `Annotated`; an option without it gets the defaults.

    Attributes:
        word: The option's name in flags and TOML files, if it differs from the field's name.
        values: The values that a sweep tries by default, if it varies the option by default.
        always: Whether the line of common options names it even at its default.
        none: What tables and sentences show for None.
        allowed: The allowed values, as the end of a sentence, if they do not follow from type and bounds.
    """

    word: str | None = None
    values: tuple[Any, ...] = ()
    always: bool = False
    none: str = "none"
    allowed: str | None = None


def option(info: FieldInfo) -> Option:
    """Return a field's `Option`."""
    return next((each for each in info.metadata if isinstance(each, Option)), Option())


def word(model: type[BaseModel], name: str) -> str:
    """Return an option's name in flags and TOML files."""
    return option(model.model_fields[name]).word or name


def heading(model: type[BaseModel], name: str) -> str:
    """Return an option's name in tables and sentences."""
    return printable(model.model_fields[name].title or name.replace("_", " "))


def label(model: type[BaseModel], name: str) -> str:
    """Return an option's name in `NAME=VALUE`, with one value."""
    return name if option(model.model_fields[name]).values else word(model, name)


def shown(info: FieldInfo, value: object, digits: int | None = None) -> str:
    """Return an option's value as tables and sentences show it, on one line. Different numbers are never shown alike.

    Args:
        info: The option.
        value: One of its values.
        digits: The significant digits of a float, from `digits_of`; by default `DIGITS`, or as many as it takes.
    """
    if value is None:
        return option(info).none
    if not isinstance(value, float):
        text = written(value)
        # A line break would let it forge a line of its own.
        return text if text.isprintable() else repr(text)
    text = f"{value:.{digits or DIGITS}g}"
    return text if digits is not None or float(text) == value else repr(value)


def digits_of(values: Iterable[object]) -> int:
    """Return the number of significant digits, `DIGITS` or more, that tells these floats apart."""
    floats = {value for value in values if isinstance(value, float)}
    return next(
        digits for digits in range(DIGITS, 18) if len({f"{value:.{digits}g}" for value in floats}) == len(floats)
    )


def metavar(model: type[BaseModel], name: str) -> str:
    """Return what stands for an option's values in the usage of a flag: `RATE[,...]`, `backprop|notebook[,...]`."""
    info = model.model_fields[name]
    kind = next(kind for kind, _ in members(info.annotation, info.metadata) if kind is not NoneType)
    words = "|".join(map(str, get_args(kind)))
    if get_origin(kind) is Literal and len(words) <= MOST_CHOICES:
        return f"{words}[,...]"
    if get_origin(kind) is tuple:
        return "INTEGER,INTEGER"
    return f"{'INTEGER' if kind is int else name.rpartition('_')[2].upper()}[,...]"


def help_text(model: type[BaseModel], name: str) -> str:
    """Return an option's help: its description, the words that it allows, its default."""
    info = model.model_fields[name]
    description = (info.description or heading(model, name).capitalize()).rstrip(".")
    if get_origin(info.annotation) is Literal:
        description = f"{description}: {allowed(info)}"
    values = option(info).values
    default = ",".join(map(written, values)) if values else written(info.default)
    if info.default is None:
        default = option(info).none
    if (info.is_required() and not values) or default == "none":
        return f"{description}."
    return f"{description}.  [default: {default}]"


def written(value: Any) -> str:
    """Return an option's value as one can type it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(written, value)) or "()" if isinstance(value, (tuple, list)) else str(value)


def allowed(info: FieldInfo, *, several: bool = False) -> str:
    """Return the values that a field allows, as the end of a sentence.

    Args:
        info: The field.
        several: Whether to speak of several values: "integers" instead of "an integer".
    """
    return option(info).allowed or _phrase(info.annotation, info.metadata, several=several)


def first_fault(error: ValueError) -> str:
    """Return the first problem of an untrusted text, as the end of a sentence: ` at seeds at 0: Field required`.

    Of very many that pydantic found, only the number is told: a list of them takes much more memory than the text.
    """
    if not isinstance(error, ValidationError):
        return f": {error}"
    if (count := error.error_count()) > MOST_FAULTS:
        return f": it has {count} faults"
    # Without what would keep the text alive, in a circle of references.
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = "".join(f" at {str(part)[:80]}" for part in first["loc"][:3])[:80]
    why = "it is not a JSON object" if first["type"] == "model_type" else first["msg"].removeprefix("Value error, ")
    return f"{where}: {why}"


def invalid_input(model: type[BaseModel], error: ValidationError, whole: str) -> InvalidInputError:
    """Return an error for the first problem in pydantic's report; `whole` names input that has no fields."""
    first = error.errors(include_url=False)[0]
    if first["type"] in ("value_error", "assertion_error") and not first["loc"] and isinstance(first["input"], Mapping):
        # A validator of the whole model: its author says what does not go together.
        infos = model.model_fields
        named = (
            f"{name}={written(value)}"
            for name, value in first["input"].items()
            if name not in infos or infos[name].is_required() or value != infos[name].default
        )
        return InvalidInputError("the combination", Described(", ".join(named)), str(first["ctx"]["error"]))
    field = clipped(".".join(str(part) for part in first["loc"]) or whole)
    value: object = Described("missing") if first["type"] == "missing" else first["input"]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return InvalidInputError(field, value, f"only the fields {', '.join(model.model_fields)}")
    known = model.model_fields.get(name)
    if known is None:
        return InvalidInputError(field, value, f"a mapping of {', '.join(model.model_fields)}")
    if get_origin(known.annotation) in (Union, UnionType):
        field = name  # the report names a member of the union, too
    return InvalidInputError(field, value, allowed(known))


def members(annotation: Any, metadata: Iterable[Any] = ()) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the types that an annotation allows, each with its metadata; unions and `Annotated` are resolved."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = (each.metadata if isinstance(each, FieldInfo) else [each] for each in arguments[1:])
        yield from members(arguments[0], [*itertools.chain(*own), *metadata])
    elif origin in (Union, UnionType):
        for each in arguments:
            yield from members(each, metadata)
    else:
        yield annotation, list(metadata)


def _phrase(annotation: Any, metadata: Sequence[Any], *, several: bool) -> str:
    found = list(members(annotation, metadata))
    phrases = [_of_type(kind, own, several=several) for kind, own in found if kind is not NoneType]
    return " or ".join(phrases) + (", or none" if len(phrases) < len(found) else "")


def _of_type(kind: Any, metadata: Sequence[Any], *, several: bool) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        *words, last = map(str, arguments)
        return f"{', '.join(words)} or {last}" if words else last
    if origin is tuple and Ellipsis in arguments:
        return f"{_phrase(arguments[0], (), several=True)}, separated by commas"
    if origin is tuple:
        return f"{_COUNTS.get(len(arguments), len(arguments))} {_phrase(arguments[0], (), several=True)}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return f"{'integers' if several else 'an integer'}{_range(metadata)}"
    if kind is float:
        noun = "finite number" if _bound(metadata, "allow_inf_nan") is False else "number"
        return f"{noun}s{_range(metadata)}" if several else f"a {noun}{_range(metadata)}"
    return "texts" if several else "text"


def _range(metadata: Sequence[Any]) -> str:
    low, high = _bound(metadata, "ge"), _bound(metadata, "le")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    limits = {"of at least": low, "greater than": _bound(metadata, "gt"),
              "of at most": high, "less than": _bound(metadata, "lt")}  # fmt: skip
    said = " and ".join(f"{words} {limit}" for words, limit in limits.items() if limit is not None)
    return f" {said}" if said else ""


def _bound(metadata: Sequence[Any], name: str) -> Any:
    return next((value for each in metadata if (value := getattr(each, name, None)) is not None), None)


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
        plain = (tuple if get_origin(kind) is tuple else kind if kind in (bool, int, float) else str for kind in types)
        self.kinds = tuple(dict.fromkeys(plain))
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


def pair(model: type[BaseModel], name: str, value: object, digits: int | None = None) -> str:
    """Return an option with its value as one types it: `hidden=32,16`, `tag="a,b"`. `digits` is that of `shown`."""
    text = "none" if value is None else shown(model.model_fields[name], value, digits)
    return f"{label(model, name)}={quoted(text) if isinstance(value, str) else text}"


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
        return {"true": True, "false": False}.get(text, value)
    if kind is int and _INTEGER.fullmatch(text):
        return int(text)
    if kind is float and _NUMBER.fullmatch(text):
        return float(text)
    return value
