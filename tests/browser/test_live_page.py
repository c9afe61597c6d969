"""The live page in a real browser: it changes under the reader's eyes, and what the reader did to it stays."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.folder.sweeps import PROGRESS
from tests.support.axe import violations
from tests.support.chromium import DESKTOP, PHONE, Page, Screen
from tests.support.command_line import QUICK, CommandLine, small
from tests.support.live_server import LiveServer, Serve, put
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(600)]

ANYWHERE = ("--host", "0.0.0.0")  # noqa: S104 - that is what is tested
WORDS = small(seeds="0-5", epochs="3")


class Growing:
    """A sweep whose rows come when the test says so."""

    def __init__(self, command_line: CommandLine, rows: int) -> None:
        command_line.finished("s", *WORDS)
        self.folder = command_line.sweep("s")
        self._results = self.folder / "results.jsonl"
        self._lines = self._results.read_text().splitlines(keepends=True)
        self._results.write_text("")
        self.add(rows)

    def add(self, rows: int) -> None:
        with self._results.open("a") as file:
            file.writelines(self._lines[:rows])
        del self._lines[:rows]


@pytest.fixture
def growing(command_line: CommandLine) -> Growing:
    return Growing(command_line, 7)


def version(page: Page) -> str:
    return str(page.run("return document.getElementById('live').dataset.version"))


def news(page: Page) -> str:
    return str(page.run("return document.getElementById('live-news').textContent"))


def requests_in_a_while(page: Page) -> int:
    """Return how often a page asks in three seconds."""
    count = "return performance.getEntriesByType('resource').length"
    before = page.run(count)
    time.sleep(3)
    return int(page.run(count) - before)


def wait_for_change(page: Page, before: str) -> None:
    wait_for(lambda: version(page) != before, "another version of the page")


def open_page(page: Page, server: LiveServer, path: str, screen: Screen = DESKTOP, theme: str = "light") -> None:
    page.show(f"http://127.0.0.1:{server.port}{path}", screen, theme)
    # Gone after a reload
    page.run("window.sameDocument = true")


def opened(page: Page, serve: Serve, *words: str) -> tuple[LiveServer, str]:
    """Return a server whose page of the sweep is open, and the page's version."""
    server = serve(*words)
    open_page(page, server, f"/s?token={server.token}" if words else "/s")
    wait_for(lambda: page.run("return document.querySelectorAll('#verdict').length") == 1, "the sweep's page")
    return server, version(page)


#: What a reader does with the page; each part says afterwards whether it is as it was.
DOES = """
    const details = [...document.querySelectorAll('figure details')];
    details[0].open = details[2].open = true;
    const seed = document.getElementById('seed');
    seed.value = '3';
    seed.dispatchEvent(new Event('input', {bubbles: true}));
    const headings = [...document.querySelector('#table table').tHead.rows[0].cells];
    const heading = headings.find(th => th.textContent.trim() === 'mean');
    heading.querySelector('button').click();
    document.querySelector('#provenance dl').scrollIntoView({block: 'center'});
    getSelection().selectAllChildren(document.querySelector('#provenance dd'));
    const button = [...document.querySelectorAll('#reproduce button')].at(-1);
    button.focus({preventScroll: true});
"""
SEES = """
    const headings = [...document.querySelector('#table table').tHead.rows[0].cells];
    const column = headings.findIndex(th => th.ariaSort);
    const focused = document.activeElement;
    return {
        open: [...document.querySelectorAll('details')].map(each => each.open),
        lit: [...document.querySelectorAll('.mark.lit')].map(each => each.dataset.seed).sort(),
        marks: document.querySelectorAll('.mark[data-seed="3"]').length,
        sort: column < 0 ? null : [headings[column].textContent.trim(), headings[column].ariaSort],
        sorted: [...document.querySelector('#table table').tBodies[0].rows]
            .map(row => parseFloat(row.cells[column]?.textContent)),
        top: Math.round(document.querySelector('#provenance dl').getBoundingClientRect().top),
        selected: getSelection().toString(),
        focused: focused.closest('li')?.querySelector('code')?.textContent ?? focused.tagName,
        same: window.sameDocument === true,
    };
"""


def test_what_a_reader_did_outlasts_the_updates(page: Page, serve: Serve, growing: Growing) -> None:
    _, known = opened(page, serve)
    page.run(DOES)
    before: dict[str, Any] = page.run(SEES)
    assert before["selected"]
    assert before["open"].count(True) == 2
    assert before["lit"]

    growing.add(2)
    wait_for_change(page, known)

    after = page.run(SEES)
    assert after["same"]
    assert after["marks"] > before["marks"]
    assert after["lit"] == ["3"] * after["marks"]
    assert after["sort"] == before["sort"] == ["mean", "ascending"]
    assert after["sorted"] == sorted(after["sorted"])
    assert after["open"] == before["open"]
    assert after["selected"] == before["selected"]
    assert after["focused"] == before["focused"]
    assert abs(after["top"] - before["top"]) <= 2
    assert page.complaints() == []
    assert page.requests() == []


def test_at_the_end_it_says_so_and_asks_no_more(page: Page, serve: Serve, growing: Growing) -> None:
    _, known = opened(page, serve)
    growing.add(5)  # the last ones
    wait_for_change(page, known)
    wait_for(lambda: news(page) == "The sweep has ended.", "the end of the sweep")
    text = page.run("return document.body.innerText")
    assert "Finished. This page does not change any more." in text
    assert "window.sameDocument" not in text
    assert requests_in_a_while(page) == 0
    assert page.run("return window.sameDocument")


def test_a_sweep_is_deleted_and_comes_back(page: Page, serve: Serve, growing: Growing, tmp_path: Path) -> None:
    _, known = opened(page, serve)

    growing.folder.rename(tmp_path / "aside")
    wait_for(lambda: "There is no sweep 's' in runs. This is what was last seen." in news(page), "word of the deletion")
    assert page.run("return document.querySelectorAll('#verdict').length") == 1

    (tmp_path / "aside").rename(growing.folder)
    growing.add(1)
    wait_for_change(page, known)
    assert news(page) == ""
    assert page.run("return window.sameDocument")


def test_a_server_ends_and_starts_again(page: Page, serve: Serve, growing: Growing) -> None:
    server, known = opened(page, serve)

    server.stop()
    wait_for(lambda: "The server does not answer" in news(page), "word of the server's end")

    growing.add(1)
    serve(port=server.port)
    wait_for_change(page, known)
    assert wait_for(lambda: news(page) == "", "word of the new server")
    assert page.run("return window.sameDocument")


def test_a_real_sweep_is_followed_from_its_first_job_to_its_last(
    page: Page, serve: Serve, command_line: CommandLine
) -> None:
    (command_line.folder / "runs").mkdir()
    server = serve()
    open_page(page, server, "/")
    assert "There is no sweep yet." in page.run("return document.body.innerText")

    words = small(seeds="0-9", epochs="20", limit="6000")
    sweep = command_line.start("sweep", *words, "--name", "first", "--workers", "1")
    wait_for(lambda: page.run("return document.querySelector('#sweep-first a') !== null"), "the sweep on the index")
    page.run("document.querySelector('#sweep-first a').click()")
    wait_for(lambda: page.run("return location.pathname") == "/first", "the sweep's page")
    page.run("window.sameDocument = true")

    # While it trains, the page says what goes on: never that it may have been interrupted
    def bar() -> str:
        return str(page.run("return document.getElementById('live').innerText"))

    wait_for(lambda: re.search(r"epoch \d+ of 20, \d", bar()) and " ETA " in bar().replace("\n", " "), "a running job")
    assert re.search(r"Running: .*Last news \d+ s ago.* of 20 jobs.*1 running.*waiting.*elapsed.*1 worker", bar(), re.S)
    assert page.run("return document.querySelector('#live progress').max") == 20
    assert "interrupted" not in page.run("return document.body.innerText")
    assert "so-far" in page.run("return document.querySelector('.headline').className")
    assert violations(page) == []
    versions = set()

    def over() -> bool:
        versions.add(version(page))
        return news(page) == "The sweep has ended."

    wait_for(over, "the end of the sweep", timeout=400)
    sweep.communicate()
    assert len(versions) >= 2
    assert page.run("return window.sameDocument")
    assert not (command_line.sweep("first") / PROGRESS).exists()
    assert page.complaints() == []


def hide(page: Page, hidden: bool) -> None:
    """Let the page believe that its tab is in the background, or in front again."""
    page.run(
        """
        Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
        """,
        hidden,
    )


def test_a_tab_in_the_background_is_no_reader(page: Page, serve: Serve, growing: Growing) -> None:
    _, known = opened(page, serve)
    assert requests_in_a_while(page) > 0

    hide(page, True)
    growing.add(1)
    # The last question may be on its way.
    assert requests_in_a_while(page) <= 1

    hide(page, False)
    wait_for_change(page, known)
    assert page.run("return window.sameDocument")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [Screen("laptop", 1100, 800), PHONE], ids=str)
def test_the_index_is_for_everybody(
    page: Page, serve: Serve, growing: Growing, command_line: CommandLine, tmp_path: Path, screen: Screen, theme: str
) -> None:
    growing.folder.rename(tmp_path / "aside")
    put(command_line, "a-sweep-with-quite-a-long-name-as-people-give-them-to-what-they-do-at-night", QUICK)
    (tmp_path / "aside").rename(growing.folder)
    (command_line.folder / "runs" / "broken").mkdir()
    (command_line.folder / "runs" / "broken" / "sweep.json").write_text("{}")
    server = serve()
    for path in ("/", "/s"):
        open_page(page, server, path, screen, theme)
        assert violations(page) == []
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        # On a laptop, not even the table scrolls in its box.
        boxes = "[...document.querySelectorAll('#sweeps .wide')]"
        assert screen is PHONE or page.run(f"return {boxes}.every(box => box.scrollWidth <= box.clientWidth)")
        assert page.complaints() == []


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=str)
def test_the_index_is_sorted_and_searched_and_leads_to_a_comparison(
    page: Page, serve: Serve, command_line: CommandLine, screen: Screen
) -> None:
    put(command_line, "one", WORDS)
    put(command_line, "two", small(seeds="0-5", epochs="2", learning_rates="0.03,0.1"))
    run = command_line.run("note", "two", "tried at night")
    assert run.returncode == 0
    server = serve()
    open_page(page, server, "/", screen)
    shown = "return [...document.querySelectorAll('#sweeps tbody tr')].filter(r => !r.hidden).map(r => r.id.slice(6))"
    wait_for(lambda: len(page.run(shown)) == 2, "the sweeps")
    # Each has a bar, a picture of its leaderboard, and a verdict as wide as the screen
    parts = "return ['progress', 'circle'].map(each => document.querySelectorAll('#sweep-one ' + each).length)"
    assert page.run(parts) == [1, 2]
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    page.run(
        "const box = document.getElementById('search'); box.value = 'NIGHT';"
        "box.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert page.run(shown) == ["two"]
    page.run(
        "document.getElementById('search').value = '';"
        "document.querySelectorAll('#sweeps thead button')[0].click();"
        "for (const each of document.querySelectorAll('#sweeps tbody input')) each.click()"
    )
    assert page.run(shown) == ["one", "two"]
    page.run("document.querySelector('#compare a').click()")
    wait_for(lambda: page.run("return location.pathname") == "/-/compare/one/two", "the comparison")
    wait_for(lambda: page.run("return document.querySelectorAll('.headline').length") == 2, "both verdicts")
    text = page.run("return document.getElementById('report').innerText")
    assert "tried at night" in text
    assert page.run("return [...document.querySelectorAll('#common tbody th')].map(each => each.innerText)") == [
        "learning rate 0.03"
    ]
    assert page.run("return document.querySelectorAll('#curves svg .mark').length") > 12
    assert {"epochs", "learning rate"} <= set(
        page.run("return [...document.querySelectorAll('#differs tbody th')].map(e => e.innerText)")
    )
    assert violations(page) == []
    assert page.complaints() == []
    # Of sweeps that are not there, there is none
    assert server.get("/-/compare/one/three").status == 404


def test_a_token_leaves_the_address(page: Page, serve: Serve, growing: Growing) -> None:
    server, known = opened(page, serve, *ANYWHERE)
    assert page.run("return location.href") == f"http://127.0.0.1:{server.port}/s"
    # Its script cannot read the token, and its news come by it
    assert server.token not in page.run("return document.cookie + document.documentElement.outerHTML")
    growing.add(1)
    wait_for_change(page, known)


def test_after_a_restart_with_another_token_it_says_so(page: Page, serve: Serve, growing: Growing) -> None:
    server, _ = opened(page, serve, *ANYWHERE)
    server.stop()
    serve(*ANYWHERE, port=server.port)
    wait_for(lambda: "wants another token: open its new address" in news(page), "word of the new token")
