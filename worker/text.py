"""Makes untrusted text safe to show in messages, tables and logs. No other module escapes characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

#: Control characters, line separators, lone surrogates, and all that is not shown: what changes the direction of
#: writing, has no width, fills, tags or selects (Unicode's property Default_Ignorable_Code_Point).
_UNPRINTABLE = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
#: Spreadsheets take a text that begins so for a formula, after blanks, too, and in other widths.
_FORMULA = ("=", "+", "-", "@")


def printable(text: str) -> str:
    r"""Escape every character that would not be shown, or would act on a terminal; line breaks (`\n`) stay."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Escape a text as `printable` does, and its line breaks, too."""
    return printable(text).replace("\n", "\\n")


def csv_cell(value: Any, text: str | None = None) -> Any:
    """Return a value for a cell of CSV: what is not made of numbers is escaped, and begins no formula.

    Args:
        value: The value.
        text: How it is written; None for itself.
    """
    if _is_numeric(value):
        return value if text is None else text
    shown = one_line(str(value) if text is None else text)
    return f"'{shown}" if unicodedata.normalize("NFKC", shown).lstrip().startswith(_FORMULA) else shown


def _is_numeric(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_numeric, value))
    return value is None or isinstance(value, (int, float))


def reason(error: BaseException) -> str:
    """Return the type and the message of an exception on one line, in about 300 characters."""
    return one_line(f"{type(error).__name__}: {error}"[:300])


def paragraph(text: str) -> str:
    """Escape a text as `printable` does, and indent every line but the first."""
    return printable(text).replace("\n", "\n  ")
