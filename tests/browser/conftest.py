"""A real Chromium without a window, and reports to look at."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.support import report_folders
from tests.support.chromium import Page, chromium
from tests.support.command_line import command_line_in


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """A browser of this test's own."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def _shared_browser() -> Iterator[webdriver.Chrome]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(_shared_browser: webdriver.Chrome) -> Iterator[Page]:
    """A page in a browser that the tests of a process share: each of them loads what it looks at."""
    made = Page(_shared_browser)
    yield made
    _shared_browser.get("about:blank")


@pytest.fixture(scope="session")
def report(cache_dir: Path) -> Callable[[str], Path]:
    """Return the file of the report of a kind of sweep (`tests.support.report_folders`), made once for all tests."""

    def made(kind: str) -> Path:
        folder = cache_dir / "reports" / kind
        folder.mkdir(parents=True, exist_ok=True)
        with command_line_in(folder, cache_dir) as command_line:
            return report_folders.report(kind, command_line)

    return made
