"""A real `orchestrator serve`, and clients that speak HTTP to it as they like."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import signal
import socket
import threading
import time
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

    def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Ask for a path (see `ask`)."""
        return ask(self.port, path, method, body, **headers)

    @contextlib.contextmanager
    def news(self, path: str, **headers: str) -> Iterator[News]:
        """Hear the news of a page, as a browser does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        heard = News(connection.sock, response)
        try:
            yield heard
        finally:
            with contextlib.suppress(OSError):
                heard.sock.shutdown(socket.SHUT_RDWR)
            connection.close()


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


class News:
    """What a reader is told, with the time at which it came."""

    def __init__(self, sock: socket.socket, response: http.client.HTTPResponse) -> None:
        self.sock = sock
        self.heard: list[tuple[float, dict[str, Any]]] = []
        self.ended = threading.Event()
        self._new: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, args=(response,), daemon=True).start()

    def _read(self, response: http.client.HTTPResponse) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, AttributeError, ValueError):
            while line := response.readline():
                if line.startswith(b"data: "):
                    told = json.loads(line[6:])
                    self.heard.append((time.monotonic(), told))
                    self._new.put(told)
        self.ended.set()

    def next(self) -> dict[str, Any]:
        """Wait for the next news."""
        return self._new.get(timeout=PATIENCE)

    def until(self, wanted: str, value: Any) -> dict[str, Any]:
        """Wait for news that say this."""
        while (told := self.next())[wanted] != value:
            pass
        return told


def released(port: int) -> bool:
    """Whether nobody listens at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def wait_until_gone(processes: list[psutil.Process]) -> None:
    wait_for(lambda: not [each for each in processes if each.is_running()], "the end of the server's processes")
