"""Renders a sweep as HTML: the whole page, and its changing part, which a live page replaces.

Texts are of strangers: what one cannot see is shown, what is long is shortened, and all of it is escaped.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.report import attempts
from orchestrator.report.charts import catalogue
from orchestrator.report.charts.chart import Chart
from orchestrator.report.charts.drawing import svg
from orchestrator.report.charts.kinds import differences
from orchestrator.report.charts.style import DARK, LIGHT, variables
from orchestrator.report.contents import accounting, commands, network, provenance, reproduce, standings, verdict
from orchestrator.report.contents.network import Portrait
from worker.text import printable

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_PACKAGE = "orchestrator.report.page"
#: The first bytes of a page: no other file begins so.
BEGINNING = '<!doctype html>\n<html lang="en" data-generator="seedsweep report">'
#: What templates ask, by their names: each says what a section says of a sweep.
_SAY = (accounting, commands, differences, network, provenance, reproduce, standings, verdict)
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

#: Longer texts are shortened, so that one text of a stranger costs a page little.
MAX_CHARACTERS = 5_000
_RIGHT_TO_LEFT = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
#: One or several words of such a script.
_WORDS = re.compile(rf"({_RIGHT_TO_LEFT}+(?:\s+{_RIGHT_TO_LEFT}+)*)")
#: What is aligned as numbers are: a number, an interval, a part of a whole, or nothing.
_NUMERIC = re.compile(r"-|[~<>]{0,2}[-+]?\d[\d.,/e() +-]*(?: to [-+]?\d[\d.e+-]*)?(?: %| points)?", re.ASCII)


def render(sweep: Sweep, portrait: Portrait | None = None) -> str:
    """Return the page of a sweep, one HTML file that loads nothing. The same folder gives the same bytes.

    Args:
        sweep: The sweep.
        portrait: What it says of the winner's network (`orchestrator.report.contents.network.content`); None to leave
            that out, which saves reading the data set and predicting it.

    Raises:
        ImportError: a package of the extra `report` is not installed (`orchestrator.report.packages.require`).
    """
    return document(f"{sweep.folder.name}: report", render_main(sweep, portrait))


def render_main(sweep: Sweep, portrait: Portrait | None = None) -> str:
    """Return the page's `main` element: all that changes while a sweep runs. Arguments and errors: as for `render`."""
    template = environment(_PACKAGE).get_template("main.html")
    return template.render(
        sweep=sweep,
        portrait=portrait or network.without(sweep),
        made=attempts.of(sweep),
        charts=_charts(sweep),
        sections=SECTIONS,
        **{each.__name__.rpartition(".")[2]: each for each in _SAY},
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
    """Return the Content-Security-Policy of a page, for a `meta` element or a header. Arguments: as for `document`.

    A page loads and runs nothing but its own style and scripts, and the images inside it. Styles and scripts are
    allowed by their hash, so that nothing else that stands in the page is applied or run: no `style` attribute, no
    handler in an attribute, no other element.
    """
    directives = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hashes([_style()]),
        "script-src": _hashes(_scripts(scripts)),
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _hashes(texts: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


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


def _charts(sweep: Sweep) -> dict[str, list[tuple[Chart, str]]]:
    """Return the charts of each section with their drawings, as markup."""
    found: dict[str, list[tuple[Chart, str]]] = {section: [] for section, _ in SECTIONS}
    for kind in catalogue.KINDS:
        found[kind.section] += [(each, svg(each)) for each in kind.charts(sweep)]
    return found


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
