"""Pages of `orchestrator serve` that take a while."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.errors import PageError
from orchestrator.live import feed
from orchestrator.live.page import Page
from orchestrator.live.renderer import Renderer
from tests.support.sweep_folders import made


def test_pages_that_are_being_made_are_bounded_and_who_leaves_ends_no_other_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        ready = asyncio.Event()

        async def page(_renderer: Renderer, name: str | None) -> Page:
            await ready.wait()
            return Page(str(name), "", partial=False, seconds=0.0, body=b"")

        monkeypatch.setattr(Renderer, "page", page)
        feeds = feed.Feeds(feed.Sweeps(tmp_path))
        left, *waiting = [asyncio.create_task(feeds.feed(name).page()) for name in ("a", "a", "b")]
        await asyncio.sleep(0)
        with pytest.raises(PageError, match="2 pages are being made already"):
            feeds.feed("c")
        left.cancel()
        ready.set()
        assert [each.version for each in await asyncio.gather(*waiting)] == ["a", "b"]
        assert (await feeds.feed("c").page()).version == "c"

    monkeypatch.setattr(feed, "MOST_KEPT", 2)
    for name in ("a", "b", "c"):
        made(tmp_path, name)
    asyncio.run(ask())
