"""Runs the real command `orchestrator`, in a folder and with a temporary folder of the test's own."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from jsonschema import Draft202012Validator

from tests.support import launcher
from tests.support.paths import ROOT
from tests.support.terminal import Terminal
from tests.support.waiting import wait_for

SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/reference/schemas/results-row.schema.json").read_text()))
#: One job of a hundredth of a second.
QUICK = ("--seeds", "7", "--learning-rates", "0.03", "--epochs", "1", "--limit", "100")
#: Four jobs of a few hundredths of a second.
SMALL = ("--seeds", "0-1", "--learning-rates", "0.01,0.03", "--epochs", "2", "--limit", "1000")


def small(**changed: str) -> tuple[str, ...]:
    """Return `SMALL` with other values of some flags: `small(epochs="60")`. A flag that is repeated would vary."""
    values = dict(zip(SMALL[::2], SMALL[1::2], strict=True))
    values |= {"--" + name.replace("_", "-"): value for name, value in changed.items()}
    return tuple(word for pair in values.items() for word in pair)


def outside(*beginnings: str) -> dict[str, str]:
    """Return the environment of the tests without the variables whose names begin so."""
    return {name: value for name, value in os.environ.items() if not name.startswith(beginnings)}


@contextlib.contextmanager
def command_line_in(folder: Path, cache_dir: Path) -> Iterator[CommandLine]:
    """Yield the command line in a folder, with a temporary folder of its own; what still runs is ended."""
    with tempfile.TemporaryDirectory(prefix="cl-") as temporary:
        made = CommandLine(folder, Path(temporary), cache_dir)
        try:
            yield made
        finally:
            made.close()


class CommandLine:
    """Where `orchestrator` runs: its working folder, and a temporary folder that must be empty afterwards.

    Args:
        folder: The working folder.
        temporary: The temporary folder; its path must be short enough for a unix socket.
        cache_dir: Where prepared data is kept between tests, and finished sweeps.
    """

    def __init__(self, folder: Path, temporary: Path, cache_dir: Path) -> None:
        self.folder = folder
        self._finished = cache_dir / "finished"
        self.temporary = temporary
        self.environment = outside("CELERY_", "SEEDSWEEP_") | {
            "TMPDIR": str(temporary),
            "SEEDSWEEP_CACHE_DIR": str(cache_dir),
            "COLUMNS": "120",
            "PYTHONUNBUFFERED": "1",
        }
        #: Whether a command is forked, and not started by Python.
        self.forks = True
        self._started: list[subprocess.Popen[str]] = []

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("orchestrator")), *arguments]

    def run(self, *arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and check its exit status."""
        process = self._popen(arguments, environment, stderr=subprocess.PIPE)
        output, errors = process.communicate(timeout=120)
        done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
        assert done.returncode == status, f"status {done.returncode}, not {status}:\n{done.stdout}\n{done.stderr}"
        return done

    def asked(self, *words: str, status: int = 0, **environment: str) -> dict[str, Any]:
        """Run a command to its end, and return the JSON that it prints."""
        printed: dict[str, Any] = json.loads(self.run(*words, "--json", status=status, **environment).stdout)
        return printed

    def finished(self, name: str, *words: str, status: int = 0) -> None:
        """Put a finished sweep of the embedded cluster into the folder, trained once for all tests."""
        kept = self._finished / hashlib.sha256(json.dumps([name, words]).encode()).hexdigest()[:16]
        kept.mkdir(parents=True, exist_ok=True)
        with (kept / "lock").open("w") as lock:
            # Of several test processes, one trains it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (kept / name / "leaderboard.json").exists():
                self.run("sweep", *words, "--name", name, "--output", str(kept), status=status)
        shutil.copytree(kept / name, self.sweep(name))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command, with both outputs in one pipe."""
        return self._popen(arguments, environment, stderr=subprocess.STDOUT)

    def begin(self, *arguments: str, name: str = "a", **environment: str) -> launcher.Popen:
        """Start a sweep, and return its process once it has a row."""
        process = self.start("sweep", *arguments, "--name", name, **environment)
        self.wait_for_rows(name, 1, process)
        return process

    def _popen(self, arguments: tuple[str, ...], environment: dict[str, str], *, stderr: int) -> launcher.Popen:
        process = launcher.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            forks=self.forks,
        )
        self._started.append(process)
        return process

    def on_terminal(self, *arguments: str, columns: int = 80, **environment: str) -> Terminal:
        """Start a command on a terminal."""
        return Terminal(self.command(*arguments), self.folder, self.environment | environment, columns)

    def end(self, process: subprocess.Popen[str], status: int = 0) -> str:
        """Wait until a command that was started has ended, check its exit status, and return what it printed."""
        output, _ = process.communicate(timeout=600)
        assert process.returncode == status, f"status {process.returncode}, not {status}:\n{output}"
        return output

    def kill(self, process: subprocess.Popen[str]) -> None:
        """End a command that was started at once."""
        process.kill()
        process.communicate(timeout=30)

    def sweep(self, name: str, output: str = "runs") -> Path:
        return self.folder / output / name

    def description(self, name: str, output: str = "runs") -> dict[str, Any]:
        """Wait until a sweep has its `sweep.json`, and return that."""
        file = self.sweep(name, output) / "sweep.json"
        found: dict[str, Any] = json.loads(wait_for(lambda: file.exists() and file.read_text(), f"{file}"))
        return found

    def board(self, name: str, output: str = "runs") -> dict[str, Any]:
        """Return the `leaderboard.json` of a sweep."""
        found: dict[str, Any] = json.loads((self.sweep(name, output) / "leaderboard.json").read_text())
        return found

    def rows(self, name: str, output: str = "runs") -> list[dict[str, Any]]:
        """Return the rows that a sweep has so far, each of which matches the published schema."""
        try:
            lines = (self.sweep(name, output) / "results.jsonl").read_text().split("\n")
        except FileNotFoundError:
            return []
        rows = [json.loads(line) for line in lines[:-1]]
        for row in rows:
            SCHEMA.validate(row)
        return rows

    def wait_for_rows(self, name: str, count: int, process: subprocess.Popen[str]) -> None:
        """Wait until a running sweep has so many rows."""

        def enough() -> bool:
            ended = process.poll() is not None
            assert not ended, f"the sweep ended before it had {count} rows:\n{process.communicate()[0]}"
            return len(self.rows(name)) >= count

        wait_for(enough, f"{count} rows of {name}")

    def cluster_processes(self, part: str = "") -> list[psutil.Process]:
        """Return the processes of embedded clusters in this temporary folder whose command names a part."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = " ".join([*process.cmdline(), process.name()])
                if part in command and self._is_ours(process) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        # A forked process shows the launcher's command and environment, but its own folder and files.
        places = [*process.cmdline(), process.environ().get("TMPDIR", "") + "/", process.cwd() + "/"]
        places += [file.path for file in process.open_files()]
        return any(f"{self.temporary}/" in place for place in places)

    def left(self) -> str:
        """Return which processes and temporary files of all commands remain."""
        return " ".join(map(str, [*self.temporary.iterdir(), *self.cluster_processes()]))

    def nothing_is_left(self) -> bool:
        """Whether no process and no temporary file of any command remains."""
        return not self.left()

    def close(self) -> None:
        """End what a failed test left running."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=30)
            elif process.stdout is not None:
                process.stdout.close()
