"""Debian's Chromium without a window, and a page in it: on a screen, in a theme, with what it asked for and said."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.support.redis_server import require

#: The fixture `report`: returns the file of the report of a kind of sweep (`tests.support.report_folders`).
Report = Callable[[str], Path]
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
#: Tells whoever starts Chromium to keep what a page says and what it asks for.
_LOGS = {"browser": "ALL", "performance": "ALL"}


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Run Chromium with a profile of its own, which goes away with it."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    require(program and driver, "chromium with chromedriver")
    with tempfile.TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(program)
        options.set_capability("goog:loggingPrefs", _LOGS)
        for flag in (*FLAGS, f"--user-data-dir={Path(profile)}"):
            options.add_argument(flag)
        with webdriver.Chrome(options=options, service=Service(str(driver))) as started:
            yield started


@dataclass(frozen=True)
class Screen:
    """A screen, in CSS pixels. A window has a minimum width, so that a phone's is emulated."""

    name: str
    width: int
    height: int
    is_phone: bool = False

    def __str__(self) -> str:
        return self.name


DESKTOP = Screen("desktop", 1280, 800)
PHONE = Screen("phone", 390, 844, is_phone=True)


class Page:
    """A page in Chromium.

    Args:
        driver: The browser.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.url = ""

    def show(
        self, where: Path | str, screen: Screen = DESKTOP, theme: str = "light", *, media: str = "", script: bool = True
    ) -> Page:
        """Load a file or an address.

        Args:
            where: The file, or the address.
            screen: The screen.
            theme: `light` or `dark`.
            media: `print`, or empty for the screen.
            script: Whether the page's scripts run.
        """
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width, height=screen.height, mobile=screen.is_phone, deviceScaleFactor=1,
        )  # fmt: skip
        self.command("Emulation.setTouchEmulationEnabled", enabled=screen.is_phone)
        self.command("Emulation.setFocusEmulationEnabled", enabled=True)
        self.command(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": theme}]
        )
        self.command("Emulation.setScriptExecutionDisabled", value=not script)
        for log in _LOGS:
            self.driver.get_log(log)
        self.url = where.resolve().as_uri() if isinstance(where, Path) else where
        self.driver.get(self.url)
        return self

    def command(self, method: str, **arguments: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(method, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, whatever its Content-Security-Policy allows to its own; return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """Return what the page wrote to the console since the last call: its errors, and what its policy blocked."""
        return [f"{entry['level']} {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return what the page asked for since the last call, also what was blocked; not itself and its own data."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if url != self.url and not url.startswith("data:")]

    def pdf(self) -> bytes:
        """Print the page on A4."""
        printed = self.command("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        return base64.b64decode(printed["data"])

    def photograph(self) -> bytes:
        """Return what the screen shows, as PNG."""
        return base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])
