"""The terminal of an orchestrator whose display is looked at, too."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.terminal import Terminal, plain

#: Wide enough for every line that an orchestrator prints.
COLUMNS = 200


class Screen:
    """Runs a command on a pseudo-terminal, and reads what it draws while it runs: a full terminal would stop it.

    Args:
        command: The command with its arguments.
        log: Where its output is appended, without controls, when it is closed.
        environment: The command's environment.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._terminal = Terminal(command, log.parent, environment, columns=COLUMNS)
        self._log = log
        self._thread = threading.Thread(target=self._terminal.read_to_end, name="screen", daemon=True)
        self._thread.start()
        self.process = self._terminal.process

    def text(self) -> str:
        """Return what was drawn so far, without controls."""
        # Every redrawn line begins at the left edge.
        return plain(self._terminal.output).replace("\r", "\n")

    def close(self) -> None:
        """Append to the log what was drawn; the command has ended."""
        self._thread.join(timeout=10)
        with self._log.open("a") as log:
            log.write(self.text())
