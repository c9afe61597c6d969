"""Draws a chart with vl-convert: as an element for a page, or as its own file.

An SVG by Vega is made fit for a page. Ids come from the chart's name, not from Vega's counter; colours become CSS
variables; each mark of a job gets `data-seed` and its description; redundant markup is dropped. The result has no
script, style or address.
"""

import re
import textwrap
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from orchestrator.report.charts import labels, style
from orchestrator.report.charts.labels import MARK
from orchestrator.report.charts.style import FONT, LIGHT
from orchestrator.report.contents.parts import Chart

#: Pixels of a PNG per pixel of the chart.
SCALE = 2.0
#: Longest line of a caption, in characters.
CAPTION_WIDTH = 85

#: Attributes that stay as they are.
_KEPT = frozenset({
    "clip-path", "cx", "cy", "d", "dy", "fill", "fill-opacity", "font-size", "font-style", "font-weight", "height",
    "id", "opacity", "r", "stroke", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit",
    "stroke-opacity", "stroke-width", "text-anchor", "transform", "viewBox", "width", "x", "x1", "x2", "y", "y1", "y2",
})  # fmt: skip
#: Default values of attributes, which are dropped.
_DEFAULTS = {("opacity", "1"), ("fill-opacity", "1"), ("stroke-opacity", "1"), ("stroke-width", "1"), ("x2", "0"),
             ("y2", "0"), ("font-weight", "normal"), ("transform", "translate(0,0)")}  # fmt: skip
_VARIABLES = {colour: f"var(--chart-{name},{colour})" for name, colour in LIGHT.items()}
_NUMBER = re.compile(r"-?\d*\.\d{3,}(?:e-?\d+)?")
#: A circle as Vega draws it: two halves.
_CIRCLE = re.compile(r"M(?P<r>[\d.]+),0A(?P=r),(?P=r),0,1,1,-(?P=r),0A(?P=r),(?P=r),0,1,1,(?P=r),0")
_PLACE = re.compile(r"translate\((?P<x>[-\d.e]+),(?P<y>[-\d.e]+)\)")


def svg(chart: Chart) -> str:
    """Return the chart as an `<svg>` for a page: its colours are the CSS variables of `style.variables`."""
    return _inlined(chart, _drawn("svg", chart.specification))


def file(chart: Chart, form: str) -> bytes:
    """Return the chart as a file, with its title, on white.

    Args:
        chart: The chart.
        form: The format: `png`, `svg` or `pdf`.
    """
    caption = textwrap.wrap(labels.plain(chart.caption), CAPTION_WIDTH)
    titled = {**chart.specification, "title": {"text": labels.plain(chart.title), "subtitle": caption}}
    drawn = _drawn(form, titled, **({"scale": SCALE} if form == "png" else {}))
    return _inlined(chart, drawn, alone=True).encode() if form == "svg" else bytes(drawn)


def _drawn(form: str, specification: Mapping[str, Any], **options: float) -> Any:
    # Whoever has a chart has its packages: `Canvas` requires them.
    import vl_convert

    draw = getattr(vl_convert, f"vegalite_to_{form}")
    return draw({**specification, "config": style.config()}, allowed_base_urls=[], **options)


# For a page


def _inlined(chart: Chart, svg: str, *, alone: bool = False) -> str:
    """Return what Vega wrote as an element for a page, or as a file with its own colours and background."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - written by our own process
    width, height = (root.get(side, "0") for side in ("width", "height"))
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": "chart",
        "role": "graphics-document",
        "aria-label": labels.plain(f"{chart.title}. {chart.caption}".strip()),
        "viewBox": root.get("viewBox", f"0 0 {width} {height}"),
        "width": width,
        "height": height,
        "font-family": FONT,
    }
    made = Element("svg", attributes)
    replaced = _ids(root, chart.name) | ({} if alone else _VARIABLES)
    # The first rectangle is the background, which a page already has.
    made.extend(each for child in list(root)[0 if alone else 1 :] for each in _cleaned(child, replaced))
    return ElementTree.tostring(made, encoding="unicode", short_empty_elements=True)


def _ids(root: Element, name: str) -> dict[str, str]:
    """Return what replaces each id and each use of it. Equal clip paths share one; Vega has one for each line."""
    alike: dict[bytes, str] = {}
    found = {str(each.get("id")): b"".join(map(ElementTree.tostring, each)) for each in root.iter() if each.get("id")}
    new = {old: alike.setdefault(content, f"clip-{name}-{len(alike) + 1}") for old, content in found.items()}
    return new | {f"url(#{old})": f"url(#{each})" for old, each in new.items()}


def _cleaned(element: Element, replaced: Mapping[str, str]) -> list[Element]:
    """Return what is left of an element: nothing, itself, or its children. Values of attributes may be replaced."""
    tag = element.tag.rpartition("}")[2]
    if tag not in ("g", "defs", "clipPath") and _is_invisible(element):
        return []
    children = [each for child in element for each in _cleaned(child, replaced)]
    if tag == "defs":
        children = list({child.get("id"): child for child in children}.values())
    attributes = _attributes(element, replaced)
    if tag in ("g", "defs") and not children:
        return []
    if tag == "g" and not attributes:
        return children
    if tag == "path":
        tag, attributes = _as_circle(attributes)
    made = Element(tag, attributes)
    made.text = element.text
    made.extend(children)
    return [made]


def _attributes(element: Element, replaced: Mapping[str, str]) -> dict[str, str]:
    found = {
        name: _NUMBER.sub(_rounded, replaced.get(value, value)).removesuffix("px")
        for name, value in element.items()
        if name in _KEPT and (name, value) not in _DEFAULTS
    }
    described = element.get("aria-label", "")
    if described.startswith(MARK):
        _, seed, text = described.split(MARK, 2)
        found |= {"class": "mark", "role": "graphics-symbol", "aria-label": text}
        if seed:
            found["data-seed"] = seed
    return found


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _is_invisible(element: Element) -> bool:
    return element.get("display") == "none" or (
        element.get("class") in ("background", "foreground") and not element.get("stroke") and not element.get("fill")
    )


def _as_circle(attributes: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return a circle's path as a `circle` element, which is a third as long."""
    circle = _CIRCLE.fullmatch(attributes.get("d", ""))
    place = _PLACE.fullmatch(attributes.get("transform", "translate(0,0)"))
    if circle is None or place is None:
        return "path", attributes
    rest = {name: value for name, value in attributes.items() if name not in ("d", "transform")}
    return "circle", {"cx": place["x"], "cy": place["y"], "r": circle["r"], **rest}
