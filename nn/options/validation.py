"""Turns pydantic's reports about any model into one sentence: which field, which value, what is allowed."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_origin

from pydantic import BaseModel, ValidationError

from nn.errors import Described, InvalidInputError
from nn.options.describe import allowed


def invalid_input(model: type[BaseModel], error: ValidationError, whole: str) -> InvalidInputError:
    """Return an error for the first problem in pydantic's report.

    Args:
        model: The model that rejected its input.
        error: Pydantic's report.
        whole: The name of the input as a whole, for input that has no fields at all.
    """
    first = error.errors(include_url=False)[0]
    field, value = _field_and_value(first, whole)
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return InvalidInputError(field, value, f"only the fields {', '.join(model.model_fields)}")
    known = model.model_fields.get(name)
    if known is None:
        return InvalidInputError(field, value, f"a mapping of {', '.join(model.model_fields)}")
    if get_origin(known.annotation) in (Union, UnionType):
        field = name  # the report names a member of the union, too
    return InvalidInputError(field, value, allowed(known))


def _field_and_value(first: Any, whole: str) -> tuple[str, object]:
    field = ".".join(str(part) for part in first["loc"]) or whole
    if len(field) > 80:
        field = field[:77] + "..."
    return field, Described("missing") if first["type"] == "missing" else first["input"]
