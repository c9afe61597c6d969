"""The processes that read sweeps and make pages, and their client in the server.

They have a lower priority than a process that trains, so that pages hardly slow a sweep down. A sweep that takes long
or ends its process, as a hostile folder may, costs the others nothing: one process reads the summaries for the index,
one makes pages, and both give up what takes long; a third one makes the pages that take long, and a fourth one the
comparisons. A process that ended is restarted when it is needed. A request is a line of JSON, and so is the answer,
which a page's body follows.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from nn.errors import SeedsweepError
from orchestrator.errors import PageError
from orchestrator.folder.sweeps import Sweeps
from orchestrator.live.page import Page

#: Seconds that a page may take: ten times what one of 10,000 jobs takes.
PATIENCE = 300.0
#: Seconds of processor time that a summary may take, or a page in the process of the others.
QUICK_SECONDS = 10.0
#: Seconds that an index waits for summaries; those that are not read by then are in the next one.
INDEX_SECONDS = 2.0
#: Least time between two summaries of a sweep, as a multiple of the time that the first one took.
_REST = 4.0
#: Beside a process that trains, it gets about a quarter of a core; at the lowest priority it would get a hundredth, and
#: a page would take minutes.
_NICENESS = 5
#: Longest message, in characters.
_LONGEST = 1000


class _TooLong(BaseException):
    """A sweep takes more time than it may. No handler of errors on the way is meant by it."""


class _Worker:
    """A process that makes pages, which is started when there is none; it answers one request at a time."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, *request: Any) -> dict[str, Any]:
        """Return the answer to a request: a method of `Pages`, and its arguments.

        Raises:
            PageError: there is none; the message says why.
        """
        async with self._turn:
            try:
                return await asyncio.wait_for(self._ask(request), PATIENCE)
            except BaseException as error:
                # The answer may still come: the next request must not take it for its own.
                self._end()
                if isinstance(error, TimeoutError):
                    raise PageError(f"The page took longer than {PATIENCE:g} seconds, and was given up") from None
                if isinstance(error, (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError)):
                    raise PageError("The process that makes pages has ended, maybe for want of memory") from None
                raise

    async def _ask(self, request: tuple[Any, ...]) -> dict[str, Any]:
        if self._process is None or self._process.returncode is not None:
            # -P: a module in the current folder must not pass for one of ours.
            command = [sys.executable, "-P", "-m", __name__, *self._arguments]
            self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise BrokenPipeError
        requests.write(json.dumps(request).encode() + b"\n")
        await requests.drain()
        told: dict[str, Any] = json.loads(await answers.readuntil(b"\n"))
        if "bytes" in told:
            told["body"] = await answers.readexactly(told.pop("bytes"))
        if "too_long" in told:
            # It may have stopped in the middle of an import, which then fails for ever.
            self._end()
        return told

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def stop(self) -> None:
        """End the process."""
        process = self._process
        self._end()
        if process is not None:
            await process.wait()


class Renderer:
    """Asks the processes for pages, and remembers the summaries of sweeps until their files change.

    Args:
        sweeps: What the pages are about.
    """

    def __init__(self, sweeps: Sweeps) -> None:
        self._sweeps = sweeps
        arguments = json.dumps((str(sweeps.output), sweeps.only, sweeps.first))
        #: For summaries, for pages, for those that take long, and for comparisons: a few sweeps have many pairs.
        self._reader, self._quick, self._slow, self._pairs = (
            _Worker(str(seconds), arguments) for seconds in (QUICK_SECONDS, QUICK_SECONDS, 0.0, 0.0)
        )
        self._reading: asyncio.Task[None] | None = None
        #: The sweeps whose last page took long.
        self._long: set[str | None] = set()
        #: The version and the summary of each sweep, and when it may be read again.
        self._known: dict[str, tuple[Hashable, dict[str, Any], float]] = {}

    async def page(self, name: str | None) -> Page:
        """Return the page of a sweep, or the index.

        Args:
            name: The sweep; the two sweeps of a comparison, as `first/second`; None for the index.

        Raises:
            PageError: the page cannot be made; the message says why.
        """
        names = [] if name is None else name.split("/")
        what = "sweep" if len(names) == 1 else "compare"
        worker = self._pairs if len(names) > 1 else self._slow if name in self._long else self._quick
        told = await (self._index() if name is None else worker.ask(what, *names))
        if name is not None and "too_long" in told:
            self._long.add(name)
            told = await self._slow.ask(what, *names)
        elif told.get("seconds", QUICK_SECONDS) < QUICK_SECONDS:
            self._long.discard(name)
        if "error" in told:
            raise PageError(told["error"])
        self._sweeps.check()
        return Page(**told)

    async def _index(self) -> dict[str, Any]:
        versions = await asyncio.to_thread(self._sweeps.versions)
        if versions is None:
            return {"error": f"{self._sweeps.output} cannot be read"}
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(versions))
        # What takes longer is in the next index.
        await asyncio.wait({self._reading}, timeout=INDEX_SECONDS)
        known = {name: self._known[name] for name in versions if name in self._known}
        is_partial = any(name not in known or known[name][0] != version for name, version in versions.items())
        summaries = [summary for _, summary, _ in known.values()]
        return await self._quick.ask("index", summaries, len(versions) - len(known), is_partial)

    async def _read(self, versions: Mapping[str, Hashable]) -> None:
        self._known = {name: self._known[name] for name in versions if name in self._known}
        for name, version in versions.items():
            before, _, not_before = self._known.get(name, (None, {}, 0.0))
            began = time.monotonic()
            if before != version and began >= not_before:
                found = await self._summary(name)
                ended = time.monotonic()
                self._known[name] = (version, found, ended + _REST * (ended - began))

    async def _summary(self, name: str) -> dict[str, Any]:
        try:
            told = await self._reader.ask("summary", name)
        except PageError as error:
            told = {"state": "too large", "sentence": str(error)}
        if "too_long" in told:
            self._long.add(name)
            told = {"state": "too large", "sentence": f"Its summary takes more than {QUICK_SECONDS:g} seconds"}
        if "error" in told:
            told = {"state": "damaged", "sentence": told["error"]}
        return {"name": name, **told}

    async def stop(self) -> None:
        """End the processes."""
        if self._reading is not None:
            self._reading.cancel()
        await asyncio.gather(self._reader.stop(), self._quick.stop(), self._slow.stop(), self._pairs.stop())


def main() -> None:
    """Answer requests until the server has ended.

    The arguments are the processor time of each request in seconds, 0 for any, and those of `Sweeps` as JSON.
    """
    seconds, (output, only, first) = float(sys.argv[1]), json.loads(sys.argv[2])
    # Ctrl-C in a terminal reaches every process; this one ends with its server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _give_up)
    os.nice(_NICENESS)
    from orchestrator.live.pages import Pages
    from worker.settings import load_settings

    cache_dir = None
    # Settings of a worker may be invalid here: pages need only the cache.
    with contextlib.suppress(SeedsweepError):
        cache_dir = load_settings().cache_dir
    pages = Pages(Sweeps(Path(output), only, first), cache_dir)
    # Nothing else may write into the pipe, which breaks if the server ends while a page is made.
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for line in sys.stdin:
            what, *about = json.loads(line)
            _answer(answers, partial(getattr(pages, what), *about), seconds)


def _give_up(_number: int, _frame: object) -> None:
    raise _TooLong


def _answer(answers: BinaryIO, make: Callable[[], Any], seconds: float) -> None:
    began, body = time.process_time(), b""
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        told = asdict(make())
        if "body" in told:
            body = told.pop("body")
            told |= {"bytes": len(body), "seconds": time.process_time() - began}
    except _TooLong:
        told = {"too_long": True}
    except SeedsweepError as error:
        told = {"error": str(error)[:_LONGEST]}
    except Exception as error:
        # A defect, or a folder that no test covers: it must not affect other sweeps.
        told = {"error": f"The page cannot be made: {type(error).__name__}: {error}"[:_LONGEST]}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    answers.write(json.dumps(told).encode() + b"\n" + body)
    answers.flush()


if __name__ == "__main__":
    main()
