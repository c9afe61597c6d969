"""Pydantic's reports in our own words: which field, which value, what is allowed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from nn.errors import InvalidInputError


class Described(str):
    """Stands for a value that cannot be shown itself: shown in a sentence without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def invalid_input(model: type[BaseModel], error: ValidationError, whole: str) -> InvalidInputError:
    """Turn the first problem of pydantic's report into one sentence; a field's description says what is allowed.

    Args:
        model: The model that refused its input.
        error: Its report.
        whole: What the input is called as a whole, for the case that it has no fields at all.
    """
    first = error.errors(include_url=False)[0]
    field, value = _field_and_value(first, whole)
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return InvalidInputError(field, value, f"only the fields {', '.join(model.model_fields)}")
    known = model.model_fields.get(name)
    if known is None:
        return InvalidInputError(field, value, f"a mapping of {', '.join(model.model_fields)}")
    return InvalidInputError(field, value, known.description or first["msg"])


def _field_and_value(first: Any, whole: str) -> tuple[str, object]:
    field = ".".join(str(part) for part in first["loc"]) or whole
    if len(field) > 80:
        field = field[:77] + "..."
    return field, Described("missing") if first["type"] == "missing" else first["input"]
