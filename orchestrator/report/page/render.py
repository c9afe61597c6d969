"""Renders a sweep as HTML: the whole page, or only its changing part, which a live page replaces.

Text is untrusted: all of it is escaped, invisible characters are shown, and long text is shortened.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from nn.errors import printable
from orchestrator.analysis.sweep import Sweep
from orchestrator.report import attempts
from orchestrator.report.charts import catalogue
from orchestrator.report.charts.drawing import svg
from orchestrator.report.charts.kinds import curves, differences
from orchestrator.report.charts.style import DARK, LIGHT, variables
from orchestrator.report.contents import accounting, model, provenance, reproduce, verdict
from orchestrator.report.contents.model import Portrait
from orchestrator.report.contents.parts import Chart
from orchestrator.text import duration, moment, sized

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_PACKAGE = "orchestrator.report.page"
#: The first bytes of a page, which tell it from other files.
BEGINNING = '<!doctype html>\n<html lang="en" data-generator="seedsweep report">'
#: The modules that templates call, by name: each makes the content of a section.
_SAY = (accounting, curves, differences, model, provenance, reproduce, verdict)
#: Id and title of each section, in the order of the page.
SECTIONS = (
    ("verdict", "Verdict"),
    ("table", "Configurations"),
    ("metric", "By option"),
    ("curves", "Curves"),
    ("differences", "Differences"),
    ("accounting", "Accounting"),
    ("model", "Model"),
    ("reproduce", "Reproduce"),
    ("provenance", "Provenance"),
)

#: Sections that some sweeps leave empty: they then have no link.
_MAY_BE_EMPTY = ("metric", "curves", "differences", "model")
#: Longest text, in characters: an untrusted text must not bloat a page.
MAX_CHARACTERS = 5_000
_RIGHT_TO_LEFT = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
#: One or several right-to-left words.
_WORDS = re.compile(rf"({_RIGHT_TO_LEFT}+(?:\s+{_RIGHT_TO_LEFT}+)*)")
#: Cells that are aligned like numbers: a number, an interval, a fraction, or `-`.
_NUMERIC = re.compile(r"-|[~<>]{0,2}[-+]?\d[\d.,/e() +-]*(?: to [-+]?\d[\d.e+-]*)?(?: %| points)?", re.ASCII)


def render(sweep: Sweep, portrait: Portrait | None = None) -> str:
    """Return the page of a sweep, a self-contained HTML file. The same folder gives the same bytes.

    Args:
        sweep: The sweep.
        portrait: The section on the winner's model (`orchestrator.report.contents.model.content`); None to leave
            the model out, which saves reading and predicting the data set.

    Raises:
        ImportError: a package of the extra `report` is not installed (`MissingPackageError.check`).
    """
    return document(f"{sweep.folder.name}: report", render_main(sweep, portrait))


def render_main(sweep: Sweep, portrait: Portrait | None = None, *, live: bool = False) -> str:
    """Return the page's `main` element: all that changes while a sweep runs. Arguments and errors: as for `render`.

    What stands above it on a `live` page says whether the sweep runs.
    """
    template = environment(_PACKAGE).get_template("main.html")
    portrait = portrait or model.without(sweep)
    charts: dict[str, list[tuple[Chart, str]]] = {section: [] for section, _ in SECTIONS}
    for kind in catalogue.KINDS:
        drawn = (kind.draw(sweep, name) for name in kind.names(sweep))
        charts[kind.section] += [(each, svg(each)) for each in drawn]
    return template.render(
        sweep=sweep,
        live=live,
        portrait=portrait,
        made=attempts.of(sweep),
        charts=charts,
        sections=[
            each
            for each in SECTIONS
            if each[0] not in _MAY_BE_EMPTY or charts[each[0]] or (each[0] == "model" and portrait)
        ],
        **{each.__name__.rpartition(".")[2]: each for each in _SAY},
    )


def document(title: str, main: str, *, scripts: Sequence[str] = ()) -> str:
    """Return a page around its `main` element.

    Args:
        title: The page's title, as text.
        main: The `main` element and what is beside it, as HTML.
        scripts: Further scripts, which run before the page's own. Only a live page has some: they may ask its server.
    """
    template = environment(_PACKAGE).get_template("document.html")
    return template.render(
        beginning=BEGINNING,
        policy=policy(scripts),
        title=title,
        style=_style(),
        scripts=[*scripts, asset("report.js")],
        main=main,
    )


def policy(scripts: Sequence[str] = ()) -> str:
    """Return the Content-Security-Policy of a page, for a `meta` element or a header. Arguments: as for `document`.

    A page loads and runs nothing but its own style, its scripts and its embedded images. Styles and scripts are
    allowed by hash, so that the browser ignores all others: `style` attributes, inline event handlers, and further
    elements.
    """
    directives = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hashes([_style()]),
        "script-src": _hashes([*scripts, asset("report.js")]),
        "connect-src": "'self'" if scripts else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _hashes(texts: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


@functools.cache
def _style() -> str:
    """Return the page's style, with the colours of the charts for both themes and for print."""
    light, dark = (f":root{{{variables(theme)}}}" for theme in (LIGHT, DARK))
    themes = f"{light}\n@media (prefers-color-scheme: dark){{{dark}}}\n@media print{{{light}}}"
    return f"{asset('style.css')}{themes}\n"


@functools.cache
def asset(name: str, package: str = _PACKAGE) -> str:
    """Return the text of a style or a script of a package."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def environment(package: str) -> Environment:
    """Return the Jinja environment of a package's templates and the report's, which escapes every value."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(_PACKAGE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Markup stays as it is.
        finalize=lambda value: value if hasattr(value, "__html__") else visible(str(value)),
    )
    made.filters |= {"isolated": isolated, "duration": duration, "moment": moment, "sized": sized}
    made.tests["numeric"] = lambda text: _NUMERIC.fullmatch(text) is not None
    return made


def visible(text: str) -> str:
    """Return a text with its control characters made visible, and without its middle if it is long."""
    return printable(text if len(text) <= MAX_CHARACTERS else f"{text[:1000]} … {text[-1000:]}")


def isolated(text: str) -> Markup:
    """Return a sentence as markup that keeps its order around right-to-left words.

    Those become a `bdi` element, so that a number after them stays after them.
    """
    from markupsafe import Markup

    parts = _WORDS.split(visible(text))
    return Markup().join(Markup("<bdi>{}</bdi>").format(part) if i % 2 else part for i, part in enumerate(parts))
