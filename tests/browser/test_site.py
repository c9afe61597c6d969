"""The documentation site, for which `make docs` has checked every link: no page needs more than the site."""

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.axe import AXE
from tests.support.chromium import PHONE, Page
from tests.support.paths import ROOT
from tests.support.redis_server import require
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="builds the site")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built."""
    require(find_spec("mkdocs") and AXE.exists(), "what `make docs` installs")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--site-dir", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The address of the site on a server that has nothing else."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_page_asks_for_anything_outside(site: Path, address: str, page: Page) -> None:
    for file in sorted(site.rglob("*.html")):
        page.show(f"{address}/{file.relative_to(site)}", PHONE)
        assert [url for url in page.requests() if not url.startswith((address, f"blob:{address}"))] == [], file
        assert page.complaints() == [], file
        assert page.run("return document.documentElement.scrollWidth") == PHONE.width, file


def test_diagrams_and_search_need_nothing_outside(address: str, page: Page) -> None:
    page.show(f"{address}/explanation/architecture.html?q=lease")
    wait_for(lambda: page.run("return document.querySelector('div.mermaid')?.clientHeight > 100"), "a diagram")
    wait_for(lambda: page.run("return document.querySelector('.md-search-result__item')"), "an answer to the search")
    assert [url for url in page.requests() if not url.startswith((address, f"blob:{address}"))] == []
