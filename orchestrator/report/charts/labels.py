"""Text in charts: safe in XML and on a screen, short in drawings, complete in descriptions."""

import re
from collections.abc import Iterable
from typing import Literal

from worker.text import one_line
from worker.trainers.protocol import Metric

#: Longest label, in characters.
MOST = 22
#: Begins the description of a mark, and ends the seed in it. Other text has none: `plain` replaces it.
MARK = "\ue000"
#: Characters that XML 1.0 forbids, besides those that `one_line` escapes, and `MARK`.
_FORBIDDEN = re.compile("[\ue000\ufdd0-\ufdef\ufffe\uffff]")


def plain(text: str) -> str:
    """Return a text on one line, with control characters and forbidden ones escaped or replaced."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", one_line(text))


def short(text: str, most: int = MOST) -> str:
    """Return a text, with its middle left out if it is longer than `most` characters: endings may tell two apart."""
    text = plain(text)
    if len(text) <= most:
        return text
    kept = most - 1
    return f"{text[: kept - kept // 3]}…{text[len(text) - kept // 3 :]}"


def distinct(texts: Iterable[str], most: int = MOST) -> list[str]:
    """Return each text as `short` does, with a number if it would look like an earlier one."""
    found: dict[str, None] = {}
    for text in texts:
        label, number = short(text, most), 1
        while label in found:
            number += 1
            label = f"{short(text, most - 2 - len(str(number)))} #{number}"
        found[label] = None
    return list(found)


def description(text: str, seed: int | None = None) -> str:
    """Return a mark's description, for one job with its seed."""
    return f"{MARK}{'' if seed is None else seed}{MARK}{plain(text)}"


def joined(*parts: str | Literal[False]) -> str:
    """Return a caption from its parts, without the false ones."""
    return "; ".join(part for part in parts if part)


def axis_title(metric: Metric) -> str:
    """Return the title of the metric's axis, with the unit, and with a note if lower is better."""
    unit = ", %" if metric.is_share else ""
    return plain(f"{metric.name}{unit}{'' if metric.higher_is_better else ' (lower is better)'}")


def headline(metric: Metric) -> str:
    """Return the metric's name as the beginning of a title."""
    name = plain(metric.name)
    return f"{name[:1].upper()}{name[1:]}"


def drawn(metric: Metric, value: float) -> float:
    """Return a value in the unit of the axes."""
    return 100 * value if metric.is_share else value
