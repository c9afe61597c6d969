"""Makes untrusted text safe to show in messages, tables and logs."""

import unicodedata
from typing import Any

from nn.errors import printable

#: Spreadsheets take a text that begins so for a formula, after blanks, too, and in other widths.
_FORMULA = ("=", "+", "-", "@")


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
