"""What a trainer's options accept."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from nn.errors import InvalidInputError
from worker.trainers.checks.case import Broken, Case, named, shown

#: What somebody may send as the value of an option.
_ANYTHING: tuple[Any, ...] = (
    None,
    "",
    "x" * 100_000,
    "os.system",
    "1e999",
    -(10**400),
    True,
    [],
    [[1]],
    {"": None},
    1e308,
)


def options_survive_json(case: Case) -> None:
    """Options that are written as JSON and read again are the same, and so is what a job's key is made of."""
    for options in case.options:
        again = _again(case, json.loads(options.model_dump_json()))
        if again != options:
            raise Broken(f"{named(options)} became {named(again)} as JSON; use types that JSON keeps")
        key = case.trainer.named(options)
        try:
            kept = json.loads(json.dumps(key, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise Broken(f"named returned what is not JSON: {shown(error)}") from None
        if kept != key or case.trainer.named(_again(case, kept)) != key:
            raise Broken(f"what named returns for {named(options)} does not make the same options again")


def options_are_frozen(case: Case) -> None:
    """An option cannot be changed once the options are made."""
    for options in case.options:
        for name in type(options).model_fields:
            try:
                setattr(options, name, getattr(options, name))
            except (ValidationError, AttributeError, TypeError):
                continue
            raise Broken(f"the option {name} can be changed; set model_config = ConfigDict(frozen=True)")


def unknown_options_are_refused(case: Case) -> None:
    """An option that does not exist is refused."""
    for options in case.options:
        if _accepts(case, options, "no_such_option", 1):
            raise Broken('an option that does not exist is accepted; set model_config = ConfigDict(extra="forbid")')


def bad_options_are_refused(case: Case) -> None:
    """A value out of bounds, of another type, or that is no finite number, is refused."""
    for options in case.options:
        for name, value, why in _bad_values(type(options)):
            if _accepts(case, options, name, value):
                raise Broken(f"the option {name} accepts {value!r}: {why}")


def any_options_are_read_or_refused(case: Case) -> None:
    """Whatever arrives as an option's value is accepted, or refused; nothing else happens."""
    for options in case.options:
        for name in type(options).model_fields:
            for value in _ANYTHING:
                _accepts(case, options, name, value)


def _again(case: Case, values: Mapping[str, Any]) -> BaseModel:
    try:
        return case.read(values)
    except (ValidationError, InvalidInputError) as error:
        raise Broken(f"options cannot be read again from their JSON {shown(values)}: {shown(error)}") from None


def _accepts(case: Case, options: BaseModel, name: str, value: object) -> bool:
    try:
        case.read(options.model_dump() | {name: value})
    except (ValidationError, InvalidInputError):
        return False
    except Exception as error:
        raise Broken(
            f"{name}={value!r} raised {shown(error)}; a validator raises ValueError, and options_for InvalidInputError"
        ) from error
    return True


def _bad_values(model: type[BaseModel]) -> Iterator[tuple[str, object, str]]:
    """Yield options with a value that must be refused, and what to do if it is not."""
    for name, schema in model.model_json_schema(mode="validation").get("properties", {}).items():
        yield name, {"no": ["such", "value"]}, "give it a narrower type"
        kinds = [schema, *schema.get("anyOf", ())]
        for kind in kinds:
            yield from ((name, value, "its bounds have no effect") for value in _out_of_bounds(kind))
        types = {kind.get("type") for kind in kinds}
        if types & {"number", "integer"} and "string" not in types:
            yield name, "no number", "give it a narrower type"
        if "number" in types:
            for value in (math.nan, math.inf, -math.inf):
                yield name, value, "set allow_inf_nan=False in its Field, because JSON has no such number"
    if "epochs" in model.model_fields:
        yield "epochs", 0, "set ge=1 in its Field"


def _out_of_bounds(schema: Mapping[str, Any]) -> Iterator[object]:
    for word, beyond in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0), ("exclusiveMaximum", 0)):
        if word in schema:
            yield schema[word] + beyond
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
