"""A folder from a stranger: whatever stands in it appears as text, and nothing in it runs."""

import re
from pathlib import Path

import pytest

from tests.support.chromium import Page, Report
from tests.support.command_line import CommandLine
from tests.support.report_folders import CONTROLS, INJECTIONS, TEXTS, large

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(300)]

SHOWN = [*INJECTIONS, *TEXTS, *CONTROLS.values()]
POLICY = re.compile(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>")
#: Opens all that is folded, and points at and focuses all that there is.
POKE = """
document.querySelectorAll('details').forEach(each => each.open = true);
for (const each of document.querySelectorAll('*'))
    for (const kind of ['mouseover', 'focus', 'load', 'error', 'click', 'toggle'])
        if (!each.closest('a, form')) each.dispatchEvent(new Event(kind, {bubbles: false}));
"""


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without its policy"])
def test_nothing_of_it_runs(page: Page, report: Report, tmp_path: Path, policy: bool) -> None:
    """The policy is a second wall: the first holds without it."""
    document = report("foreign").read_text()
    assert len(POLICY.findall(document)) == 1
    file = tmp_path / "page.html"
    file.write_text(document if policy else POLICY.sub("", document))
    page.show(file).run(POKE)
    assert page.run("return window.injected === undefined")
    assert page.complaints() == []
    assert page.requests() == []


def test_no_element_is_one_of_it(page: Page, report: Report) -> None:
    page.show(report("foreign"))
    handlers = page.run(
        "return [...document.querySelectorAll('*')].flatMap(node => [...node.attributes])"
        ".filter(each => /^on|^style$|srcdoc/i.test(each.name)).map(each => `${each.name}=${each.value}`)"
    )
    assert handlers == []
    links = page.run("return [...document.querySelectorAll('[href], [src]')].map(each => each.href ?? each.src)")
    assert [link for link in links if not link.startswith((f"{page.url}#", "data:image/png;"))] == []
    tags = page.run("return [...new Set([...document.querySelectorAll('*')].map(node => node.localName))]")
    assert not {"iframe", "object", "embed", "base", "link", "foreignObject", "image", "use", "animate"}.intersection(
        tags
    )
    # As many scripts and styles as in a page that nobody has tampered with.
    count = "return ['script', 'style', 'meta', 'title'].map(tag => document.querySelectorAll(tag).length)"
    found = page.run(count)
    assert page.show(report("rates")).run(count) == found


def test_what_is_hovered_says_it_all_and_words_keep_their_order_around_text_of_another_direction(
    page: Page, report: Report
) -> None:
    page.show(report("foreign"))
    labels = " ".join(page.run("return [...document.querySelectorAll('.mark')].map(each => each.ariaLabel)"))
    assert [each for each in SHOWN if each not in labels] == []
    moved = page.run(
        """
        const sentences = document.querySelectorAll('#report p, dd > span, #report td, #report th, figcaption *');
        const range = document.createRange(), moved = [];
        for (const sentence of sentences) {
            const walker = document.createTreeWalker(sentence, NodeFilter.SHOW_TEXT);
            let last = null;
            while (walker.nextNode())
                for (const word of walker.currentNode.data.matchAll(/[!-~]+/g)) {
                    range.setStart(walker.currentNode, word.index);
                    range.setEnd(walker.currentNode, word.index + word[0].length);
                    const box = range.getClientRects()[0];
                    if (!box) continue;
                    if (last && Math.abs(last.top - box.top) < 4 && box.left < last.left)
                        moved.push(`${word[0]} in ${sentence.textContent.slice(0, 200)}`);
                    last = box;
                }
        }
        return moved;
        """
    )
    assert moved == []


@pytest.mark.timeout(600)
def test_ten_thousand_jobs_can_be_looked_at(page: Page, command_line: CommandLine) -> None:
    command_line.run("report", large(command_line, 100, 100), "--to", "large.html")
    file = command_line.folder / "large.html"
    assert file.stat().st_size < 10e6
    page.show(file)
    assert page.complaints() == page.requests() == []
    assert page.run("return document.querySelectorAll('*').length") < 100_000
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    # One seed lights up where there are dots, and nothing breaks where there are bands.
    page.run(
        "const input = document.getElementById('seed'); input.value = '7';"
        "input.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert page.complaints() == []
