"""A real Chromium without a window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.support.chromium import Page, chromium


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
