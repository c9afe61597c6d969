"""Keeps pages fresh: each is made once for all viewers, at most once a second, and only while it has viewers."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from orchestrator.errors import PageError, SweepNotFoundError
from orchestrator.folder.sweeps import Sweeps
from orchestrator.live.page import Page
from orchestrator.live.renderer import Renderer

#: The least seconds between two pages of one sweep.
INTERVAL = 1.0
#: Least time between two pages, as a multiple of the processor time that the first one took: the pages of a sweep take
#: a quarter of a core at most.
REST = 4.0
#: The most pages that are kept without viewers.
MOST_KEPT = 8
#: The most readers who get news. The others have to reload.
MOST_VIEWERS = 64


@dataclass(frozen=True)
class News:
    """An update for a reader.

    Attributes:
        version: The version of the newest page; None if there is none.
        over: Whether it is the last update.
        problem: Why there is no newer page; empty if there is one.
    """

    version: str | None
    over: bool = False
    problem: str = ""


class Feed:
    """One page and its viewers.

    Args:
        renderer: Makes the page.
        name: The sweep, or two as `first/second`; None for the index.
        version: Returns a value that changes when the page has to be made again.
    """

    def __init__(self, renderer: Renderer, name: str | None, version: Callable[[], Hashable]) -> None:
        self._renderer = renderer
        self._name = name
        self._version = version
        self.viewers = 0
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._refreshed = asyncio.Condition()
        self._page: Page | None = None
        self._problem = ""
        #: The version that the page was made of; before there is a page, an object that equals no version.
        self._made_of: Hashable = object()
        self._not_before = 0.0
        self.used = 0.0

    async def page(self) -> Page:
        """Return the page, made again if it has changed, unless the last one is too new.

        Raises:
            PageError: it cannot be made.
        """
        self.used = time.monotonic()
        await self._refresh()
        if self._page is None or self._problem:
            raise PageError(self._problem)
        return self._page

    @contextlib.contextmanager
    def viewed(self) -> Iterator[None]:
        """Keep the page fresh for a reader while the block runs."""
        self.viewers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self.viewers -= 1

    async def news(self, told: News | None, seconds: float) -> News | None:
        """Return the latest news; None if a reader has been told them, and none come within this time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._refreshed:
                await self._refreshed.wait_for(lambda: self._news() != told)
                return self._news()
        return None

    async def _run(self) -> None:
        """Check for changes each second, as long as the page has viewers."""
        while self.viewers:
            await self._refresh()
            async with self._refreshed:
                self._refreshed.notify_all()
            await asyncio.sleep(INTERVAL)

    async def _refresh(self) -> None:
        async with self._turn:
            began = time.monotonic()
            if began < self._not_before:
                return
            version = await asyncio.to_thread(self._version)
            if version == self._made_of and not (self._page is not None and self._page.partial):
                return
            try:
                self._page, self._problem = await self._renderer.page(self._name), ""
                cost = self._page.seconds
            except PageError as error:
                self._problem = str(error)
                cost = time.monotonic() - began
            self._made_of = version
            self._not_before = max(began + REST * cost, time.monotonic() + INTERVAL)

    def _news(self) -> News | None:
        """Return the latest news; None before the page was first made."""
        if self._problem:
            return News(None, problem=self._problem)
        return None if self._page is None else News(self._page.version, self._page.over)


class Feeds:
    """The pages of a server, made when they are first asked for.

    Args:
        sweeps: What the pages are about.
    """

    def __init__(self, sweeps: Sweeps) -> None:
        self.sweeps = sweeps
        self._renderer = Renderer(sweeps)
        self._feeds: dict[str | None, Feed] = {}

    def feed(self, name: str | None) -> Feed:
        """Return the page of a sweep, or of two as `first/second`; without a name, the index.

        Raises:
            SweepNotFoundError: there is no such sweep, and its page has no viewers; or there is no index, because only
                one sweep is shown.
        """
        if name is None and self.sweeps.only is not None:
            raise SweepNotFoundError("There is nothing at this address")
        known = self._feeds.get(name)
        names = [] if name is None else name.split("/")
        if known is None or not known.viewers:
            for each in names:
                self.sweeps.folder(each)
        if known is None:
            idle = [key for key, feed in self._feeds.items() if not feed.viewers]
            for key in sorted(idle, key=lambda each: -self._feeds[each].used)[MOST_KEPT - 1 :]:
                del self._feeds[key]
            known = Feed(self._renderer, name, lambda: tuple(map(self.sweeps.version, names)) or self.sweeps.versions())
            self._feeds[name] = known
        return known

    @property
    def full(self) -> bool:
        """Whether all places for viewers are taken."""
        return sum(feed.viewers for feed in self._feeds.values()) >= MOST_VIEWERS

    async def stop(self) -> None:
        """End the process that makes pages."""
        await self._renderer.stop()
