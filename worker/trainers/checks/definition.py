"""Checks before training: what a trainer says about itself, which options it accepts, and how it loads data."""

import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nn.errors import DatasetError, InvalidInputError
from nn.options.describe import Reader, written
from worker.trainers.checks.case import Broken, Case, named, shown
from worker.trainers.registry import DIGEST, problem_of, problem_of_model

#: Hostile values of an option.
_ANYTHING: tuple[Any, ...] = (
    None, "", "x" * 100_000, "os.system", "1e999", -(10**400), True, [], [[1]], {"": None}, 1e308,
)  # fmt: skip
#: The bounds of a JSON schema, each with the step from it to a value that it forbids.
_BEYOND = {"minimum": -1, "maximum": 1, "exclusiveMinimum": 0, "exclusiveMaximum": 0}


def well_formed(case: Case) -> None:
    """Name, version, options, metric and data follow the protocol, and the class needs no arguments."""
    trainer = case.trainer
    problem = problem_of(trainer, str(getattr(trainer, "name", "")))
    if problem is not None:
        raise Broken(problem)
    kind = type(trainer)
    try:
        kind()
    except Exception as error:
        raise Broken(f"{kind.__name__}() raised {shown(error)}; a trainer is made without arguments") from error
    for options in case.options:
        if (problem := problem_of_model(type(options))) is not None:
            raise Broken(f"with {named(options)}, {problem}")
        counts = {"epochs": trainer.epochs(options), "max_bytes": trainer.max_bytes(options, case.data.digest)}
        for name, count in counts.items():
            if type(count) is not int or count < 1:
                raise Broken(f"{name} returned {shown(count)}; allowed: an integer from 1")


def options_are_described(options: BaseModel) -> None:
    """Each option has a description, which becomes its help."""
    for name, info in type(options).model_fields.items():
        if not info.description:
            raise Broken(f'the option {name} has no description; give it one: Field(..., description="...")')


def defaults_can_be_typed(options: BaseModel) -> None:
    """Each default can be written as text or as a list in a file, and is read back unchanged."""
    model = type(options)
    for name, info in model.model_fields.items():
        if info.is_required():
            continue
        try:
            read = [Reader(model, name)(each) for each in (info.default, written(info.default))]
        except (ValueError, TypeError, OverflowError):
            read = []
        if read != [info.default] * 2:
            raise Broken(
                f"the default of the option {name}, {shown(info.default)}, cannot be typed; an option is a number, "
                "a text, true or false, or a tuple of them"
            )


def options_survive_json(case: Case, options: BaseModel) -> None:
    """Options written as JSON and read back are equal, and give the same job key."""
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


def bad_options_are_refused(case: Case, options: BaseModel) -> None:
    """A value out of bounds, of another type, infinite or NaN is refused. No value causes any other error."""
    for name, value, why in _bad_values(type(options)):
        if _accepts(case, options, name, value):
            raise Broken(f"the option {name} accepts {value!r}: {why}")
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
            beyond = [kind[word] + step for word, step in _BEYOND.items() if word in kind]
            beyond += ["x" * (kind["maxLength"] + 1)] if "maxLength" in kind else []
            yield from ((name, value, "its bounds have no effect") for value in beyond)
        types = {kind.get("type") for kind in kinds}
        if types & {"number", "integer"} and "string" not in types:
            yield name, "no number", "give it a narrower type"
        if "number" in types:
            for value in (math.nan, math.inf, -math.inf):
                yield name, value, "set allow_inf_nan=False in its Field, because JSON has no such number"
    if "epochs" in model.model_fields:
        yield "epochs", 0, "set ge=1 in its Field"


def data_has_a_digest(case: Case) -> None:
    """The digest is a SHA-256. Every call of `load` and `digest` gives the same one."""
    digest = _digest(case, case.source)
    if not isinstance(digest, str) or DIGEST.fullmatch(digest) is None:
        raise Broken(f"the digest is {shown(digest)}; allowed: a SHA-256 of the content, 64 digits from 0 to f")
    again = _digest(case, case.source)
    if again != digest:
        raise Broken(f"the same data set has the digests {digest} and {again}; make it from the content only")
    alone = case.trainer.digest(case.source, case.cache_dir)
    if alone != digest:
        raise Broken(f"digest returned {shown(alone)}; the digest of what load returns is {digest}")


def missing_data_is_refused(case: Case) -> None:
    """A path that does not exist is refused by `load` and by `digest` with a DatasetError."""
    with tempfile.TemporaryDirectory() as folder:
        missing = str(Path(folder) / "missing")
        for read in (case.trainer.load, case.trainer.digest):
            if not _is_refused(case, read, missing):
                raise Broken("the path of a file that does not exist is accepted; raise DatasetError")


def changed_data_has_another_digest(case: Case) -> None:
    """If the source is a file, a copy has the same digest, and a changed copy has another one or is refused."""
    path = Path(case.source)
    if not (path.is_absolute() and path.is_file()):
        return
    digest, content = _digest(case, case.source), path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"copy-of-{path.name}"
        shutil.copy(path, copy)
        if _digest(case, str(copy)) != digest:
            raise Broken("a copy of the file has another digest; make it from the content, not from its path or time")
        copy.write_bytes(_changed(content))
        if not _is_refused(case, case.trainer.load, str(copy)) and _digest(case, str(copy)) == digest:
            raise Broken("another file has the same digest; make it from the whole content")


def _changed(content: bytes) -> bytes:
    """Return a text with another last digit, or the first half of other content."""
    changed = re.sub(rb"[0-9](?=[^0-9]*+\Z)", lambda digit: b"1" if digit[0] == b"0" else b"0", content)
    return changed if changed != content and content.isascii() else content[: len(content) // 2]


def _digest(case: Case, source: str) -> Any:
    return case.trainer.load(source, case.cache_dir).digest


def _is_refused(case: Case, read: Callable[[str, Path], object], source: str) -> bool:
    try:
        read(source, case.cache_dir)
    except DatasetError:
        return True
    except Exception as error:
        raise Broken(f"a missing or damaged file raised {shown(error)}; raise DatasetError") from error
    return False
