"""Text in a page: what one cannot see is shown, what is long is shortened, and a sentence keeps its order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from worker.text import printable

if TYPE_CHECKING:
    from markupsafe import Markup

#: Longer texts are shortened, so that one text of a stranger costs a page little.
MAX_CHARACTERS = 5_000

_RIGHT_TO_LEFT = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
#: One or several words of such a script.
_WORDS = re.compile(rf"({_RIGHT_TO_LEFT}+(?:\s+{_RIGHT_TO_LEFT}+)*)")


def visible(text: str) -> str:
    """Return a text with its control characters made visible; of a long one, the middle is left out."""
    return printable(text if len(text) <= MAX_CHARACTERS else f"{text[:1000]} … {text[-1000:]}")


def isolated(text: str) -> Markup:
    """Return a sentence as markup that keeps its order around words that are written from right to left.

    They become a `bdi` element: a number behind them stays behind them.
    """
    from markupsafe import Markup

    parts = _WORDS.split(visible(text))
    return Markup().join(Markup("<bdi>{}</bdi>").format(part) if i % 2 else part for i, part in enumerate(parts))
