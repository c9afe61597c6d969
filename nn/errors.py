"""The base class of Seedsweep's errors, and the errors of the `nn` layer."""

from collections.abc import Iterable
from difflib import get_close_matches


def clipped(text: str, most: int = 80) -> str:
    """Return a text of at most `most` characters; three dots stand for the end of a longer one."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def meant(typed: str, known: Iterable[str], cutoff: float = 0.6, most: int = 3) -> str:
    """Return ` (did you mean a or b?)` for the known words that a mistyped one resembles; empty if there are none."""
    near = get_close_matches(typed[:60], list(known), most, cutoff)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


class SeedsweepError(Exception):
    """The base class of Seedsweep's errors. `str(error)` is one sentence, written for a user."""


class Described(str):
    """A description that an error message shows, unquoted, instead of a value: `missing`, `5000 bytes`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Beside(str):
    """In place of the allowed values: what the field cannot be combined with, as the end of a sentence."""

    __slots__ = ()


class InvalidInputError(SeedsweepError, ValueError):
    """An invalid value.

    Args:
        field: The name of the option or field, as the user wrote it (`--seeds`, `learning_rate`).
        value: The invalid value, or a `Described`.
        allowed: The allowed values, as the end of a sentence; or what the field cannot be combined with, as `Beside`.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(field, value, allowed)
        self.field = field
        self.value = value
        self.allowed = allowed

    def __str__(self) -> str:
        if isinstance(self.allowed, Beside):
            return f"{self.field} cannot be combined with {self.allowed}"
        try:
            # A text may be as long as a stranger's file.
            shown = repr(clipped(self.value) if type(self.value) is str else self.value)
        except (ValueError, RecursionError):
            # Python cannot format integers of more than 4300 digits (ValueError) or deeply nested values.
            shown = f"a value of type {type(self.value).__name__} that is too long to show"
        return f"{self.field} is {clipped(shown)}; allowed: {self.allowed}"


class DatasetError(SeedsweepError):
    """A data set is missing, damaged, or not the expected one."""


class WeightsError(SeedsweepError):
    """Weights cannot be read, or do not match their hash."""
