"""Makes untrusted text safe to show in messages, tables and logs. No other module escapes characters."""

from __future__ import annotations

import re

#: Control characters, line separators, characters that change the direction of writing, and lone surrogates.
_UNPRINTABLE = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\N{ARABIC LETTER MARK}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
    "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
    "\N{LEFT-TO-RIGHT EMBEDDING}-\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}-\N{POP DIRECTIONAL ISOLATE}"
    "\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Escape every character that would act on a terminal instead of being shown; line breaks (`\n`) stay."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Escape a text as `printable` does, and its line breaks, too."""
    return printable(text).replace("\n", "\\n")


def reason(error: BaseException) -> str:
    """Return the type and the message of an exception on one line, in about 300 characters."""
    return one_line(f"{type(error).__name__}: {error}"[:300])


def paragraph(text: str) -> str:
    """Escape a text as `printable` does, and indent every line but the first."""
    return printable(text).replace("\n", "\n  ")
