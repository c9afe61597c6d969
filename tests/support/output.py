"""The output of a command that runs, line by line as it comes."""

import subprocess
import threading
import time

from tests.support.waiting import PATIENCE, wait_for


class Output:
    """Reads a process's standard output in a thread.

    Args:
        process: A process whose standard output is a pipe of text, which nothing else reads.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, *, timeout: float = PATIENCE) -> str:
        """Wait until a line holds this text, and return the line."""

        def found() -> str:
            return next((line for line in list(self.lines) if text in line), "")

        began = time.monotonic()
        line = wait_for(found, f"{text!r} in the output", timeout=timeout, report=self.text)
        print(f"{text!r} after {time.monotonic() - began:.1f} s")
        return line

    def end(self) -> tuple[int, str]:
        """Wait for the end of the process; return its exit status and all of its output."""
        status = self._process.wait(timeout=120)
        self._thread.join(timeout=30)
        return status, self.text()
