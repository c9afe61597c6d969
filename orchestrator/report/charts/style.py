"""Colours, font and axes of every chart.

In each theme, the contrast with the background is at least 3 to 1, for text at least 4.5 to 1; no chart relies on
colour alone. In a page, colours are CSS variables, so that the page's theme decides.
"""

from collections.abc import Mapping
from typing import Any

#: vl-convert measures text in the first font, which is as wide as Arial and Helvetica: the same layout everywhere. A
#: Debian without all three has the fourth, which is hardly wider; its usual sans-serif is a sixth wider.
FONT = "Liberation Sans, Arial, Helvetica, DejaVu Sans Condensed, sans-serif"
FONT_SIZE = 12

#: The colours of the light and the dark theme, by their CSS variable without `--chart-`. Each occurs once.
_COLOURS: Mapping[str, tuple[str, str]] = {
    "ground": ("#ffffff", "#15181d"),
    "ink": ("#1f2328", "#e6e8eb"),
    "quiet": ("#59606a", "#a9b1bc"),
    "axis": ("#8a919b", "#78808c"),
    "grid": ("#e4e7eb", "#2b3038"),
    "1": ("#0067b0", "#58b0f2"),
    "2": ("#c24a00", "#ff9350"),
    "3": ("#007a5e", "#37c79b"),
    "4": ("#a3478c", "#ea97cf"),
    "5": ("#7a6200", "#e0c341"),
    "6": ("#4b4fc4", "#a3a6ff"),
    "other": ("#757b84", "#8f97a3"),
    "lost": ("#b3261e", "#ff8a80"),
    "heat-1": ("#e8f1f9", "#11283a"),
    "heat-2": ("#c9e0f2", "#143a56"),
    "heat-3": ("#9ac6e6", "#184c72"),
    "heat-4": ("#62a6d6", "#1c6090"),
    "heat-5": ("#2474b0", "#63abdf"),
    "heat-6": ("#11629c", "#9bcaec"),
    "heat-7": ("#0b416b", "#d3e8f8"),
}
LIGHT: Mapping[str, str] = {name: light for name, (light, _) in _COLOURS.items()}
DARK: Mapping[str, str] = {name: dark for name, (_, dark) in _COLOURS.items()}
#: The colours of series, which also have labels: at most six.
SERIES = tuple(LIGHT[name] for name in "123456")
#: From worst to best, each with the colour of text on it.
HEAT = tuple((LIGHT[f"heat-{step}"], LIGHT["ink" if step < 5 else "ground"]) for step in range(1, 8))


def variables(theme: Mapping[str, str]) -> str:
    """Return the declarations of a theme's CSS variables: `--chart-ink:#1f2328;...`."""
    return "".join(f"--chart-{name}:{colour};" for name, colour in theme.items())


def config() -> dict[str, Any]:
    """Return the part of a specification with fonts, axes and background."""
    axis = {
        "labelColor": LIGHT["quiet"],
        "titleColor": LIGHT["ink"],
        "domainColor": LIGHT["axis"],
        "tickColor": LIGHT["axis"],
        "gridColor": LIGHT["grid"],
        "labelFontSize": FONT_SIZE,
        "titleFontSize": FONT_SIZE,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelLimit": 0,
        "labelFlush": False,
    }
    title = {
        "anchor": "start",
        "frame": "group",
        "color": LIGHT["ink"],
        "subtitleColor": LIGHT["quiet"],
        "fontSize": 15,
        "subtitleFontSize": FONT_SIZE,
        "fontWeight": "bold",
        "offset": 12,
    }
    return {
        "background": LIGHT["ground"],
        # Room for labels on both sides if their font is wider than the one that measured them.
        "padding": {"left": 26, "top": 5, "right": 28, "bottom": 5},
        "font": FONT,
        "axis": axis,
        "title": title,
        "view": {"stroke": None},
        "text": {"color": LIGHT["ink"], "fontSize": FONT_SIZE},
    }
