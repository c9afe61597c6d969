"""A second, small sweep in front of the first, which is cancelled while some of its jobs run and others wait."""

import os
import signal
from pathlib import Path

import redis

from orchestrator.cli.main import BAD_INPUT
from tests.chaos.arena.workload import Workload
from tests.support import launcher
from tests.support.command_line import CommandLine

NAME = "other"


class OtherSweep:
    """Its orchestrator, and the command that cancels it.

    Args:
        commands: Runs the orchestrator.
        folder: Where logs and its output go: not to the disk that is filled.
        url: Redis.
        workload: What it is part of.
    """

    def __init__(self, commands: CommandLine, folder: Path, url: str, workload: Workload) -> None:
        self._workload = workload
        self._commands = commands
        self._output = folder / "output"
        self._log = folder / "other.log"
        self._url = url
        self._collector: launcher.Popen | None = None
        self._command: launcher.Popen | None = None

    def start(self) -> None:
        """Start the sweep."""
        self._collector = self._run("sweep", *self._workload.other_flags, "--name", NAME, "--no-reuse")

    def is_queued(self, client: redis.Redis) -> bool:
        """Return whether all its jobs are on the cluster: those of a sweep that starts now are behind them."""
        return client.llen("seedsweep") + client.hlen("seedsweep:unacked") == len(self._workload.other_jobs)  # type: ignore[operator]

    def cancel(self) -> None:
        """Begin to cancel the sweep, without waiting for it."""
        self._command = self._run("cancel", NAME)

    def is_cancelled(self) -> bool:
        """Return whether the command has done its work; one that could not begin is run again."""
        assert self._command is not None
        status = self._command.poll()
        if status == BAD_INPUT and "No Redis server answers" in self.said():
            self.cancel()
        return status == 0

    def status(self) -> int | None:
        """Return its orchestrator's exit status; None without one."""
        return None if self._collector is None else self._collector.poll()

    def rows(self) -> dict[str, str]:
        """Return the status of each row that it has, by job."""
        return {row["job"]: row["status"] for row in self._commands.rows(NAME, "output")}

    def said(self) -> str:
        """Return what its commands have printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        """End what still runs."""
        for process in (self._collector, self._command):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _run(self, *words: str) -> launcher.Popen:
        command = self._commands.command(*words, "--output", str(self._output), "--broker", self._url)
        with self._log.open("ab") as log:
            return launcher.Popen(
                command, stdout=log, stderr=log, env=self._commands.environment, start_new_session=True
            )
