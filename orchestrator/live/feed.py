"""Keeps pages fresh: each is made once for all readers, at most once a second, and only when somebody asks for it."""

import asyncio
import time
from collections.abc import Callable

from nn.errors import SeedsweepError
from orchestrator.errors import PageError
from orchestrator.folder.sweeps import Sweeps
from orchestrator.live.page import Page
from orchestrator.live.renderer import PATIENCE, Renderer

#: The least seconds between two pages of one sweep.
INTERVAL = 1.0
#: Least time between two pages, as a multiple of the processor time that the first one took: the pages of a sweep take
#: a quarter of a core at most.
REST = 4.0
#: The most pages that are kept: those that were asked for last.
MOST_KEPT = 64


class Feed:
    """One page, for all of its readers.

    Args:
        renderer: Makes the page.
        name: The sweep, or two as `first/second`; None for the index.
        version: Returns a value that changes when the page has to be made again.
    """

    def __init__(self, renderer: Renderer, name: str | None, version: Callable[[], object]) -> None:
        self._renderer = renderer
        self._name = name
        self._version = version
        #: What makes the page again, or has made it last.
        self.making: asyncio.Task[None] | None = None
        self._page: Page | None = None
        self._problem = ""
        #: The version that the page was made of; before there is a page, an object that equals no version.
        self._made_of: object = object()
        self._not_before = 0.0

    async def page(self) -> Page:
        """Return the page, made again if it has changed, unless the last one is too new.

        Raises:
            PageError: it cannot be made.
        """
        if self.making is None or self.making.done():
            self.making = asyncio.create_task(self._refresh())
        # A reader who leaves ends nobody else's wait.
        await asyncio.shield(self.making)
        if self._page is None or self._problem:
            raise PageError(self._problem)
        return self._page

    async def _refresh(self) -> None:
        began = time.monotonic()
        if began < self._not_before:
            return
        version, cost = await asyncio.to_thread(self._version), 0.0
        if version != self._made_of or (self._page is not None and self._page.partial):
            try:
                self._page, self._problem = await self._renderer.page(self._name), ""
                cost = self._page.seconds
            except SeedsweepError as error:
                self._problem = str(error)
                # It may be another cause than the files. If it is these, others must not wait for it often.
                version, cost = object(), min(REST * (time.monotonic() - began), PATIENCE)
            self._made_of = version
        self._not_before = max(began + REST * cost, time.monotonic() + INTERVAL)


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
            SweepNotFoundError: there is no such sweep.
            SweepUnreadableError, PageError: another folder has taken its place; too many pages are being made.
        """
        self.sweeps.check()
        names = [] if name is None else name.split("/")
        for each in names:
            self.sweeps.folder(each)
        known = self._feeds.pop(name, None)
        if known is None:
            idle = [key for key, each in self._feeds.items() if each.making is None or each.making.done()]
            if len(self._feeds) >= MOST_KEPT:
                if not idle:
                    raise PageError(f"{MOST_KEPT} pages are being made already: ask again later")
                del self._feeds[idle[0]]
            known = Feed(self._renderer, name, lambda: self.sweeps.versions(*names))
        self._feeds[name] = known
        return known

    async def stop(self) -> None:
        """End the process that makes pages."""
        await self._renderer.stop()
