"""A real Chromium without a window."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.support.redis_server import require

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1500,800",
)


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """Debian's Chromium with a profile of its own, which goes away with it."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    require(chromium and driver, "chromium with chromedriver")
    with tempfile.TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(chromium)
        for flag in (*FLAGS, f"--user-data-dir={Path(profile)}"):
            options.add_argument(flag)
        started = webdriver.Chrome(options=options, service=Service(str(driver)))
        try:
            yield started
        finally:
            started.quit()
