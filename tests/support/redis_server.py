"""A real redis-server of a test's own, on a TCP port and a unix socket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import redis

from tests.support.waiting import wait_for


def require(found: object, what: str) -> None:
    """Skip the test where a service is missing; fail in CI, where nothing may be missing."""
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is missing, and CI must not skip")
        pytest.skip(f"{what} is missing")


def free_port() -> int:
    """Return a TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server with its data in `folder`; it can be killed and started again.

    Args:
        folder: Where its socket, log and data go. Its path must be short: a unix socket's has at most 107 bytes.
        persistent: Whether it keeps its data over a restart (append-only file, written at once).
        options: More of redis-server's own options, `{"maxmemory": "10mb"}`.
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
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        return f"redis+socket://{self.socket}?virtual_host=0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def start(self) -> RedisServer:
        """Start the server and wait until it answers."""
        program = shutil.which("redis-server")
        require(program, "redis-server")
        arguments = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([*self._prefix, str(program), *arguments], start_new_session=True)
        wait_for(self._answers, "redis-server", report=lambda: self.log.read_text() if self.log.exists() else "")
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server: SIGTERM lets it write its data, SIGKILL does not."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=20)
            self._process = None

    def send(self, how: signal.Signals) -> None:
        """Send the server a signal: SIGSTOP makes it silent, SIGCONT lets it go on."""
        if self._process is not None:
            self._process.send_signal(how)

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server and start it again, with what it kept of its data."""
        self.stop(how)
        self.start()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"redis-server ended at once; see {self.log}"
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
