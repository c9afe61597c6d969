"""Runs commands in the process of the tests, which imports the packages of charts and exports once for all of them."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.cli.main import run
from tests.support import launcher
from tests.support.command_line import CommandLine


@dataclass(frozen=True)
class Printed:
    """What a command wrote to its two streams."""

    out: str
    err: str


class InProcess:
    """Commands in a working folder, as functions of this process.

    Args:
        command_line: The folder, and the commands that need a process of their own.
        monkeypatch: Makes the folder the working folder for as long as the test runs.
        capsys: Takes what the commands write.
    """

    def __init__(
        self, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.command_line = command_line
        self.folder = command_line.folder
        self.runs = command_line.folder / "runs"
        self._capsys = capsys
        monkeypatch.chdir(command_line.folder)
        # Embedded clusters are forked, as those of other commands.
        monkeypatch.setattr(subprocess, "Popen", launcher.Popen)
        monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", command_line.environment["SEEDSWEEP_CACHE_DIR"])

    def run(self, *words: str, status: int = 0) -> Printed:
        """Run a command to its end, and check its exit status."""
        ended = run(list(words))
        printed = Printed(*self._capsys.readouterr())
        assert ended == status, f"status {ended}, not {status}:\n{printed.out}\n{printed.err}"
        return printed

    def asked(self, *words: str, status: int = 0) -> dict[str, Any]:
        """Run a command to its end, and return the JSON that it prints."""
        printed: dict[str, Any] = json.loads(self.run(*words, "--json", status=status).out)
        return printed

    def refused(self, *words: str) -> str:
        """Run a command that is refused, and return the sentence that says why, without its beginning."""
        printed = self.run(*words, status=2)
        assert (printed.out, printed.err.count("\n")) == ("", 1), printed
        assert printed.err.startswith("orchestrator: ")
        return printed.err.removeprefix("orchestrator: ")

    def page(self, name: str) -> str:
        """Write the report of a sweep, and return its page."""
        self.run("report", name)
        return (self.runs / name / "report.html").read_text(encoding="utf-8")
