"""Renders a sweep as HTML: the whole page, and its changing part, which a live page replaces."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import catalogue
from orchestrator.report.charts.chart import Table
from orchestrator.report.charts.drawing import svg
from orchestrator.report.charts.kinds import differences
from orchestrator.report.charts.style import DARK, LIGHT, variables
from orchestrator.report.contents.network import NetworkContent
from orchestrator.report.contents.page import contents
from orchestrator.report.page.policy import content_security_policy
from orchestrator.report.page.text import isolated, visible

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "orchestrator.report.page"
#: The first bytes of a page: no other file begins so.
BEGINNING = '<!doctype html>\n<html lang="en" data-generator="seedsweep report">'
#: The sections by their ids, in the order of the page.
SECTIONS = (
    ("verdict", "Verdict"),
    ("table", "Configurations"),
    ("metric", "By option"),
    ("curves", "Curves"),
    ("differences", "Differences"),
    ("accounting", "Accounting"),
    ("network", "Network"),
    ("reproduce", "Reproduce"),
    ("provenance", "Provenance"),
)

#: What is aligned as numbers are: a number, an interval, a part of a whole, or nothing.
_NUMERIC = re.compile(r"-|[~<>]{0,2}[-+]?\d[\d.,/e() +-]*(?: to [-+]?\d[\d.e+-]*)?(?: %| points)?", re.ASCII)


@dataclass(frozen=True)
class Figure:
    """A chart in the page.

    Attributes:
        name: The chart's name.
        title: What it shows.
        caption: How to read it.
        svg: The drawing, as markup.
        table: Its data.
    """

    name: str
    title: str
    caption: str
    svg: str
    table: Table


def render(sweep: Sweep, portrait: NetworkContent | None = None) -> str:
    """Return the page of a sweep, one HTML file that loads nothing. The same folder gives the same bytes.

    Args:
        sweep: The sweep.
        portrait: What it says of the winner's network (`orchestrator.report.contents.network.content`); None to leave
            that out, which saves reading the data set and predicting it.

    Raises:
        ImportError: a package of the extra `report` is not installed (`orchestrator.report.packages.require`).
    """
    return document(f"{sweep.folder.name}: report", render_main(sweep, portrait))


def render_main(sweep: Sweep, portrait: NetworkContent | None = None) -> str:
    """Return the page's `main` element: all that changes while a sweep runs. Arguments and errors: as for `render`."""
    template = environment(_PACKAGE).get_template("main.html")
    return template.render(
        page=contents(sweep, portrait),
        figures=_figures(sweep),
        sections=SECTIONS,
        no_differences=differences.absent(sweep),
    )


def document(title: str, main: str, *, scripts: Sequence[str] = (), live: bool = False) -> str:
    """Return a page around its `main` element.

    Args:
        title: The page's title, as text.
        main: The `main` element and what stands beside it, as HTML.
        scripts: Further scripts, which run before the page's own.
        live: Whether the page asks the server that it came from for news.
    """
    template = environment(_PACKAGE).get_template("document.html")
    return template.render(
        beginning=BEGINNING,
        policy=policy(scripts, live=live),
        title=title,
        style=_style(),
        scripts=_scripts(scripts),
        main=main,
    )


def policy(scripts: Sequence[str] = (), *, live: bool = False) -> str:
    """Return the Content-Security-Policy of a page. Arguments: as for `document`."""
    return content_security_policy([_style()], _scripts(scripts), live=live)


def _scripts(further: Sequence[str]) -> list[str]:
    return [*further, asset("report.js")]


@functools.cache
def _style() -> str:
    """Return the page's style, with the colours of the charts in either theme, and on paper."""
    light, dark = (f":root{{{variables(theme)}}}" for theme in (LIGHT, DARK))
    themes = f"{light}\n@media (prefers-color-scheme: dark){{{dark}}}\n@media print{{{light}}}"
    return f"{asset('style.css')}{themes}\n"


@functools.cache
def asset(name: str) -> str:
    """Return the text of a style or a script of the page."""
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _figures(sweep: Sweep) -> dict[str, list[Figure]]:
    """Return the charts of each section."""
    figures: dict[str, list[Figure]] = {section: [] for section, _ in SECTIONS}
    for kind in catalogue.KINDS:
        for each in kind.charts(sweep):
            figures[kind.section].append(Figure(each.name, each.title, each.caption, svg(each), each.table))
    return figures


@functools.cache
def environment(package: str) -> Environment:
    """Return what fills the templates of a package: every value becomes text, never markup."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.filters["isolated"] = isolated
    made.tests["numeric"] = lambda text: _NUMERIC.fullmatch(text) is not None
    return made


def _shown(value: Any) -> Any:
    """Return what an expression of a template becomes: markup, or visible text."""
    return value if hasattr(value, "__html__") else visible(str(value))
