"""Runs a command on a real pseudo-terminal, and reads what it draws."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import launcher
from tests.support.waiting import PATIENCE

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A command whose three standard streams are one pseudo-terminal.

    Args:
        command: The command with its arguments.
        folder: Its working folder.
        environment: Its environment; `COLUMNS` and `LINES` are removed, so that the terminal's own size counts.
        columns: Columns of the terminal, which has 40 lines.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns, 40)
        own = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self.process = launcher.Popen(
            command, cwd=folder, env={"TERM": "xterm-256color"} | own, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.output = ""

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read_until(self, text: str) -> str:
        """Read until the text, without controls, has appeared or the command has ended; return all output so far."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and (not text or text not in plain(self.output)):
            if not select.select([self._master], [], [], 0.5)[0]:
                continue
            try:
                part = os.read(self._master, 65536)
            except OSError:
                break  # Linux's end of a pseudo-terminal.
            if not part:
                break
            self.output += part.decode(errors="replace")
        return self.output

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def read_to_end(self) -> str:
        """Read until no process has the terminal any more; return all output."""
        self.read_until("")
        os.close(self._master)
        return self.output


def plain(output: str) -> str:
    """Return output without controls, as a terminal that was never redrawn would show it."""
    return _CONTROL.sub("", output)
