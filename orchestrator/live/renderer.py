"""The process that reads sweeps and makes pages, and its client in the server.

It has a lower priority than a process that trains, so that pages hardly slow a sweep down. If it takes too long or
dies, which a hostile folder may cause, it is restarted for the next page. A request is a line with the name of a sweep,
or an empty one for the index; the answer is a line of JSON, and the page's body.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from nn.errors import SeedsweepError
from orchestrator.errors import PageError
from orchestrator.live.page import Page
from orchestrator.live.sweeps import Sweeps

#: Seconds that a page may take: ten times what one of 10,000 jobs takes.
PATIENCE = 300.0
#: Beside a process that trains, it gets about a quarter of a core; at the lowest priority it would get a hundredth, and
#: a page would take minutes.
_NICENESS = 5
#: Longest message, in characters.
_LONGEST = 1000


class Renderer:
    """Asks the process for pages, one at a time, and starts it when there is none.

    Args:
        sweeps: What the pages are about.
    """

    def __init__(self, sweeps: Sweeps) -> None:
        self._arguments = [str(sweeps.output), *([] if sweeps.only is None else [sweeps.only])]
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def page(self, name: str | None) -> Page:
        """Return the page of a sweep, or the index.

        Args:
            name: The sweep; None for the index.

        Raises:
            PageError: the page cannot be made; the message says why.
        """
        async with self._turn:
            try:
                return await asyncio.wait_for(self._ask(name or ""), PATIENCE)
            except PageError:
                raise
            except TimeoutError:
                self._end()
                raise PageError(f"The page took longer than {PATIENCE:g} seconds, and was given up") from None
            except (asyncio.IncompleteReadError, OSError, ValueError):
                self._end()
                raise PageError("The process that makes pages has ended, maybe for want of memory") from None
            except BaseException:
                # The answer is still to come: the next request must not take it for its own.
                self._end()
                raise

    async def _ask(self, line: str) -> Page:
        if self._process is None or self._process.returncode is not None:
            self._process = await self._start()
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise BrokenPipeError
        requests.write(f"{line}\n".encode())
        await requests.drain()
        told: dict[str, Any] = json.loads(await answers.readuntil(b"\n"))
        if "error" in told:
            raise PageError(told["error"])
        return Page(body=await answers.readexactly(told.pop("bytes")), **told)

    async def _start(self) -> Process:
        # -P: a module in the current folder must not pass for one of ours.
        command = [sys.executable, "-P", "-m", __name__, *self._arguments]
        return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)

    def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """End the process."""
        self._end()
        if self._process is not None:
            await self._process.wait()


def main(output: str, only: str | None = None) -> None:
    """Answer requests until the server has ended."""
    # Ctrl-C in a terminal reaches every process; this one ends with its server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    from orchestrator.live.pages import Pages
    from worker.settings import load_settings

    cache_dir = None
    # Settings of a worker may be invalid here: pages need only the cache.
    with contextlib.suppress(SeedsweepError):
        cache_dir = load_settings().cache_dir
    pages = Pages(Sweeps(Path(output), only), cache_dir)
    # Nothing else may write into the pipe, which breaks if the server ends while a page is made.
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for line in sys.stdin:
            name = line.rstrip("\n")
            _answer(answers, partial(pages.sweep, name) if name else pages.index)


def _answer(answers: BinaryIO, make: Callable[[], Page]) -> None:
    began = time.process_time()
    try:
        page = make()
        told = asdict(page) | {"seconds": time.process_time() - began}
        body = told.pop("body")
        told["bytes"] = len(body)
    except SeedsweepError as error:
        told, body = {"error": str(error)[:_LONGEST]}, b""
    except Exception as error:
        # A defect, or a folder that no test covers: it must not affect other sweeps.
        told, body = {"error": f"The page cannot be made: {type(error).__name__}: {error}"[:_LONGEST]}, b""
    answers.write(json.dumps(told).encode() + b"\n" + body)
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
