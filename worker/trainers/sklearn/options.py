"""The options: the estimator's name, and its parameters, with the types and bounds of scikit-learn's constraints."""

import functools
import numbers
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError, create_model

from nn.options.describe import Option
from nn.options.network import MAX_EPOCHS, SPLIT_HELP, Split, Width
from worker.trainers.sklearn.estimators import ALLOWED, estimator

#: The largest integer of an option: it fits a C integer everywhere.
MAX_INTEGER = 2**31 - 1
#: A parameter with more words than this is not an option: a message could not list them.
MAX_WORDS = 30

#: Widths of two and of three hidden layers. A single width is an integer.
_WIDTHS = (tuple[Width, Width], tuple[Width, Width, Width])


# Strict, because a type that is tried after another one must not turn 1 into true, or "1" into 1.
class SklearnOptions(BaseModel, frozen=True, extra="forbid", strict=True):
    """The options that every estimator has."""

    estimator: Annotated[str, Option(allowed=ALLOWED, always=True)] = Field(
        pattern=r"^[A-Za-z]\w{0,99}$", description="Class name of a classifier or regressor of scikit-learn."
    )
    epochs: int = Field(
        default=10,
        ge=1,
        le=MAX_EPOCHS,
        description="Passes over the training samples, for an estimator that trains in passes.",
    )
    standardize: bool = Field(
        default=True, description="Scale every feature to mean 0 and standard deviation 1 over the training samples."
    )
    split: Split = Field(default="fixed", description=SPLIT_HELP)


OWN = frozenset(SklearnOptions.model_fields)


def parameters(options: BaseModel) -> dict[str, Any]:
    """Return the estimator's parameters that differ from their defaults."""
    return {name: value for name, value in options.model_dump(exclude_defaults=True).items() if name not in OWN}


@functools.cache
def model_of(name: str) -> type[BaseModel]:
    """Return the model of an estimator's options.

    Raises:
        InvalidInputError: scikit-learn has no such estimator.
    """
    found = estimator(name)
    fields: dict[str, Any] = {}
    for parameter, constraints in found.constraints.items():
        annotation, default = _annotation(constraints, found.defaults[parameter])
        if annotation is not None and parameter not in OWN and _allows(annotation, default):
            description = f"Parameter of {name}; scikit-learn's documentation says what it does."
            fields[parameter] = (annotation, Field(default=default, description=description))
    return create_model(f"{name}Options", __base__=SklearnOptions, **fields)


def _allows(annotation: Any, default: object) -> bool:
    try:
        TypeAdapter(annotation).validate_python(default, strict=True)
    except ValidationError:
        return False
    return True


def _annotation(constraints: Any, default: Any) -> tuple[Any, Any]:
    """Return the type of an option and its default; the type is None if no number, word, or truth value is allowed.

    If both integers and other numbers are allowed, 1 and 1.0 are equal, but mean different things: one sample, and all
    of them. Only 1.0 is allowed if the default is a float; otherwise, only 1. `true` and 1 are equal, too.
    """
    if not isinstance(constraints, list):
        return None, None
    members = [member for each in constraints for member in _members(each)]
    if "array-like" in constraints and isinstance(default, tuple) and all(type(each) is int for each in default):
        members += [(tuple, Annotated[each, Field(strict=False)]) for each in _WIDTHS]  # JSON has lists only
        default = default[0] if len(default) == 1 else default
    kinds = {kind for kind, _ in members}
    if type(default) is int and kinds == {float}:
        default = float(default)
    if not members:
        return None, None
    is_fraction = type(default) is float
    types: list[Any] = []
    # Text is read by the first type whose form it has.
    for kind, what in sorted(members, key=lambda member: (int, float, bool, tuple, str).index(member[0])):
        if kind is int:
            first = 2 if bool in kinds or (float in kinds and is_fraction) else what["ge"]
            types.append(Annotated[int, Field(ge=max(first, what["ge"]), le=what["le"])])
        elif kind is float and int in kinds:
            bounds = what if is_fraction else _below_one(what)
            # Pydantic makes a float from an integer even in strict mode.
            types.append(Annotated[float, Field(**bounds, allow_inf_nan=False), BeforeValidator(_no_integer)])
        else:
            types.append(Annotated[float, Field(**what, allow_inf_nan=False)] if kind is float else what)
    union: Any = Union[tuple(types)]  # noqa: UP007 - of a list
    may_be_none = None in constraints or "cv_object" in constraints
    return (union | None if may_be_none else union), default


def _members(constraint: Any) -> Iterator[tuple[type, Any]]:
    """Yield the kinds of values that a constraint of scikit-learn allows: numbers with their bounds, or a type."""
    from sklearn.utils._param_validation import Interval, StrOptions

    if isinstance(constraint, Interval):
        yield _interval(constraint)
    elif isinstance(constraint, StrOptions):
        words = tuple(sorted(constraint.options - constraint.deprecated))
        if 0 < len(words) <= MAX_WORDS:
            yield str, Literal[words]
    elif constraint == "boolean":
        yield bool, bool
    elif constraint == "cv_object":
        yield int, {"ge": 2, "le": MAX_INTEGER}
    elif constraint is numbers.Integral:
        yield int, {"ge": -MAX_INTEGER, "le": MAX_INTEGER}
    elif constraint is numbers.Real:
        yield float, {}


def _interval(interval: Any) -> tuple[type, dict[str, Any]]:
    left, right = interval.left, interval.right
    if interval.type is numbers.Integral:
        # Integers have closed bounds only.
        low = -MAX_INTEGER if left is None else left + (interval.closed in ("right", "neither"))
        high = MAX_INTEGER if right is None else min(MAX_INTEGER, right - (interval.closed in ("left", "neither")))
        return int, {"ge": int(low), "le": int(high)}
    bounds: dict[str, Any] = {}
    if left is not None:
        bounds["ge" if interval.closed in ("left", "both") else "gt"] = float(left)
    if right is not None:
        bounds["le" if interval.closed in ("right", "both") else "lt"] = float(right)
    return float, bounds


def _below_one(bounds: Mapping[str, Any]) -> Mapping[str, Any]:
    if min(bounds.get("le", 1.0), bounds.get("lt", 1.0)) < 1.0:
        return bounds
    return {name: value for name, value in bounds.items() if name not in ("le", "lt")} | {"lt": 1.0}


def _no_integer(value: object) -> object:
    if isinstance(value, int):
        raise ValueError("an integer")
    return value
