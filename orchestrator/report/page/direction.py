"""Keeps sentences in their order around words of scripts that are written from right to left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from worker.text import printable

if TYPE_CHECKING:
    from markupsafe import Markup

_RIGHT_TO_LEFT = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
#: One or several such words.
_WORDS = re.compile(rf"({_RIGHT_TO_LEFT}+(?:\s+{_RIGHT_TO_LEFT}+)*)")


def isolated(text: str) -> Markup:
    """Return a sentence as markup, with such words as a `bdi` element: a number behind them stays behind them."""
    from markupsafe import Markup

    parts = _WORDS.split(printable(text))
    return Markup().join(Markup("<bdi>{}</bdi>").format(part) if i % 2 else part for i, part in enumerate(parts))
