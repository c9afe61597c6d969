"""The report of every kind of sweep, on every screen and in every theme: whole, quiet, readable and for everybody."""

import re

import pytest

from tests.support.axe import violations
from tests.support.chromium import DESKTOP, PHONE, Page, Report, Screen
from tests.support.report_folders import KINDS

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(300)]

SECTIONS = ["verdict", "table", "metric", "curves", "differences", "accounting", "model", "reproduce", "provenance"]
#: Reports of other trainers, which draw nothing.
NO_MODEL = ("axes", "foreign")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_screen = pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=str)
every_theme = pytest.mark.parametrize("theme", ["light", "dark"])

SHOWN = """
return [...document.querySelectorAll('#report > section')].filter(section => section.checkVisibility())
    .map(section => section.id)
"""


def sections(kind: str) -> list[str]:
    return [each for each in SECTIONS if each != "model" or kind not in NO_MODEL]


@every_kind
@every_screen
@every_theme
def test_it_is_whole_and_quiet_and_for_everybody(
    page: Page, report: Report, kind: str, screen: Screen, theme: str
) -> None:
    page.show(report(kind), screen, theme)
    assert page.run(SHOWN) == sections(kind)
    links = page.run("return [...document.querySelectorAll('nav a')].map(each => each.getAttribute('href'))")
    # No link leads to a section without a chart
    empty = page.run("return ['metric', 'curves', 'differences'].filter(e => !document.querySelector(`#${e} figure`))")
    assert links == [f"#{section}" for section in sections(kind) if section not in empty]
    assert page.complaints() == page.requests() == []
    assert violations(page) == []
    width, inner = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner == screen.width  # a page that is wider would make a phone zoom out
    # What sticks out is inside something that scrolls by itself.
    out = page.run(
        """
        const scrolls = node =>
            node && (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
        return [...document.querySelectorAll('#report *')].filter(node => node.checkVisibility()
            && node.getBoundingClientRect().right > innerWidth + 1 && !scrolls(node.parentElement)).map(
            node => node.outerHTML.slice(0, 100))
        """
    )
    assert out == []


def test_it_is_dark_where_people_want_it_dark(page: Page, report: Report) -> None:
    brightness = """
    const sum = colour => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
    const style = getComputedStyle(document.body);
    return sum(style.backgroundColor) > sum(style.color)
    """
    assert page.show(report("rates"), theme="light").run(brightness)
    assert not page.show(report("rates"), theme="dark").run(brightness)


@every_kind
def test_it_is_read_without_scripts(page: Page, report: Report, kind: str) -> None:
    text = "return document.getElementById('report').innerText.split(/\\s+/).filter(word => word)"
    with_script = page.show(report(kind)).run(text)
    without = page.show(report(kind), script=False).run(text)
    assert page.run(SHOWN) == sections(kind)
    # No button is offered that would do nothing.
    assert page.run("return [...document.querySelectorAll('button')].filter(b => b.checkVisibility()).length") == 0
    # Nothing but what needs a script is missing.
    assert set(without) <= set(with_script)
    assert len(without) > 100


@every_kind
@every_theme
def test_it_can_be_printed(page: Page, report: Report, kind: str, theme: str) -> None:
    page.show(report(kind), theme=theme, media="print")
    assert page.run(SHOWN) == sections(kind)
    # Paper is white, whatever the screen is.
    background, text = page.run(
        "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
    )
    assert background in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert sum(map(int, re.findall(r"\d+", text)[:3])) < 300
    # What only a screen can do is not printed.
    useless = "return [...document.querySelectorAll('nav, input, .copy')].filter(each => each.checkVisibility()).length"
    assert page.run(useless) == 0
    # A folded table is printed, or a note says where it is.
    pdf = page.show(report(kind), theme=theme).pdf()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
