"""A real `orchestrator serve`, and clients that speak HTTP to it as they like."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.support.command_line import CommandLine
from tests.support.output import Output
from tests.support.waiting import PATIENCE, wait_for
from tests.support.web import Answer, ask


class Client:
    """Asks a server on this machine.

    Args:
        port: Where the server listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask for a path (see `ask`)."""
        return ask(self.port, path, method, **headers)

    def version(self, path: str) -> str | None:
        """Return the version of a page; None if there is no such page."""
        found = re.search(r'data-version="(\w+)"', self.get(path).text)
        return found[1] if found else None


class LiveServer(Client):
    """`orchestrator serve` on a free port, and what it said.

    Args:
        command_line: Where it runs.
        arguments: More of its words.
    """

    def __init__(self, command_line: CommandLine, *arguments: str, port: int = 0) -> None:
        self.process = command_line.start("serve", "--json", "--port", str(port), *arguments)
        self._output = Output(self.process)
        self.said: dict[str, Any] = json.loads(self._output.wait_for("address", timeout=PATIENCE))
        parts = urlsplit(self.said["address"])
        super().__init__(parts.port or 0)
        self.host, self.token = parts.hostname, parts.query.removeprefix("token=")

    @property
    def log(self) -> str:
        """What came after the line with the address."""
        return "\n".join(self._output.lines[1:])

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit status."""
        self.process.send_signal(number)
        return self._output.end()[0]


#: Starts a server with these words.
Serve = Callable[..., LiveServer]


def whole_index(server: Client) -> str:
    """Wait until the index has read every sweep, which takes some time on a busy machine, and return its text."""

    def text() -> str:
        found = server.get("/").text
        return "" if "are being read" in found else found

    return wait_for(text, "the whole index")


@contextlib.contextmanager
def servers(command_line: CommandLine) -> Iterator[Serve]:
    """Yield what starts servers; at the end, those that still run are ended."""
    started: list[LiveServer] = []

    def start(*arguments: str, port: int = 0) -> LiveServer:
        started.append(LiveServer(command_line, *arguments, port=port))
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            if server.process.poll() is None:
                server.stop()


def put(command_line: CommandLine, name: str, words: tuple[str, ...]) -> None:
    """Put a finished sweep into the folder, under a name of its own; sweeps of the same words are trained once."""
    command_line.finished("s", *words)
    if name != "s":
        command_line.sweep("s").rename(command_line.sweep(name))
