"""`orchestrator serve`: what a large or hostile sweep costs the others."""

import asyncio
import gzip
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from orchestrator.errors import SweepBusyError, SweepUnreadableError
from orchestrator.folder.sweeps import Sweeps
from orchestrator.live import renderer
from orchestrator.live.renderer import Renderer
from tests.support.boards import folder_of
from tests.support.sweep_folders import made


@pytest.mark.timeout(600)  # The processes have a lower priority than all others, and start three times.
def test_a_sweep_that_slows_or_ends_its_process_is_given_up_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a sweep that takes long to read, one that ends the process that reads it, and a small one
    folder_of(tmp_path, {0.1: [None] * 40_000}, "large")
    for name in ("deadly", "small"):
        folder_of(tmp_path, {0.1: [0.5, 0.5]}, name)
    asked: list[Any] = []
    comparing: list[renderer._Worker] = []
    ask = renderer._Worker._ask

    async def observed(self: renderer._Worker, request: tuple[Any, ...]) -> dict[str, Any]:
        asked.append(request[:2] if request[0] != "index" else "index")
        comparing.extend([self] * (request[0] == "compare"))
        if request == ("summary", "deadly") and self._process is not None:
            self._process.kill()
        return await ask(self, request)

    monkeypatch.setattr(renderer._Worker, "_ask", observed)
    monkeypatch.setattr(renderer, "QUICK_SECONDS", 0.7)
    monkeypatch.setattr(renderer, "INDEX_SECONDS", renderer.PATIENCE)
    monkeypatch.setattr(renderer, "_REST", 0.0)

    async def look() -> None:
        pages = Renderer(Sweeps(tmp_path))
        try:
            # Then the index has them all, and asks for none again
            for expected in ({"summary"}, set()):
                asked.clear()
                index = gzip.decompress((await pages.page(None)).body).decode()
                shown = dict(re.findall(r'<tr id="sweep-(\w+)">.*?<td title="[^"]*">([^<]*)</td>', index, re.S))
                assert shown.pop("large") == shown.pop("deadly") == "too large"
                assert shown == {"small": "finished"}
                assert {each[0] for each in asked if each != "index"} == expected
            # until its files change.
            os.utime(tmp_path / "deadly" / "sweep.json")
            asked.clear()
            await pages.page(None)
            assert asked == [("summary", "deadly"), "index"]
            # Its page is made by a process of its own; that it takes long is known from its summary, or found out.
            assert pages._long == {"large"}
            pages._long.clear()
            asked.clear()
            assert b"large" in gzip.decompress((await pages.page("large")).body)
            assert asked == [("sweep", "large")] * 2
            assert pages._quick._process is None
            assert b"small" in gzip.decompress((await pages.page("small")).body)
            # Nor do comparisons, of which there are many more, keep any page waiting.
            compared = asyncio.create_task(pages.page("large/small"))
            await pages.page("small")
            compared.cancel()
            with pytest.raises(asyncio.CancelledError):
                await compared
            assert comparing == [pages._pairs]
        finally:
            await pages.stop()

    asyncio.run(look())


def test_a_link_that_changes_while_it_is_followed_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    (tmp_path / "b").symlink_to("a")
    monkeypatch.setattr(os.path, "realpath", Mock(side_effect=OSError(22, "Invalid argument")))
    with pytest.raises(SweepUnreadableError, match=r"sweep\.json cannot be read: A link out of its folder"):
        Sweeps(tmp_path).folder("b").manifest()


def test_who_locks_a_folder_is_named(tmp_path: Path) -> None:
    # Whoever can read a folder can lock it.
    folder = made(tmp_path)
    code = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); print(); input()"
    command, pipe = [sys.executable, "-c", code, str(folder.path)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        told = f": process {other.pid} of this host has locked it;"
        with pytest.raises(SweepBusyError, match=told), folder.exclusive():
            pass
        other.communicate("\n")
