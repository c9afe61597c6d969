"""The base class of Seedsweep's errors, and the errors of the `nn` layer."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

#: Control characters, line separators, lone surrogates, and all that is not shown: what changes the direction of
#: writing, has no width, fills, tags or selects (Unicode's property Default_Ignorable_Code_Point).
_UNPRINTABLE = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def printable(text: str) -> str:
    r"""Escape every character that would not be shown, or would act on a terminal; line breaks (`\n`) stay."""
    # Piece by piece: `sub` keeps a text for each character that it replaces until it ends.
    pieces = (text[i : i + 2**16] for i in range(0, len(text), 2**16))
    return "".join(_UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], piece) for piece in pieces)


def clipped(text: str, most: int = 80) -> str:
    """Return a text of at most `most` characters; three dots stand for the end of a longer one."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def meant(typed: str, known: Iterable[str], cutoff: float = 0.6, most: int = 3) -> str:
    """Return ` (did you mean a or b?)` for the known words that a mistyped one resembles; empty if there are none."""
    near = get_close_matches(typed[:60], list(known), most, cutoff)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


class SeedsweepError(Exception):
    """The base class of Seedsweep's errors. `str(error)` is one sentence, written for a user, and `printable`."""

    def __str__(self) -> str:
        return printable(super().__str__())


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
            return printable(f"{self.field} cannot be combined with {self.allowed}")
        try:
            # A text may be as long as a stranger's file.
            shown = repr(clipped(self.value) if type(self.value) is str else self.value)
        except (ValueError, RecursionError):
            # Python cannot format integers of more than 4300 digits (ValueError) or deeply nested values.
            shown = f"a value of type {type(self.value).__name__} that is too long to show"
        return printable(f"{self.field} is {clipped(shown)}; allowed: {self.allowed}")


class DatasetError(SeedsweepError):
    """A data set is missing, damaged, or not the expected one."""


class WeightsError(SeedsweepError):
    """Weights cannot be read, or do not match their hash."""
