"""A clock that runs ahead or behind, for a worker or a command: it shifts `time.time` in that process and its children.

Redis, and every other process, keeps the right time.
"""

import os
from pathlib import Path

#: Python imports a module of this name before anything else, so that `from time import time` finds the shifted clock.
_SHIFT = """\
import os
import time

_now, _now_ns, _monotonic = time.time, time.time_ns, time.monotonic
_path = os.environ["SKEWED_CLOCK"]
_last = [0.0, float("-inf")]


def _offset():
    # Read again at most every tenth of a second: the clock may be set while the process runs.
    if _monotonic() - _last[1] > 0.1:
        with open(_path) as file:
            _last[:] = float(file.read()), _monotonic()
    return _last[0]


time.time = lambda: _now() + _offset()
time.time_ns = lambda: _now_ns() + int(_offset() * 1e9)
"""


class SkewedClock:
    """A wall clock that differs from the machine's by a number of seconds, which a test may change at any time.

    Args:
        folder: Where its files go; made if it is missing.
        seconds: How far it is ahead; less than 0 for a clock that is behind.

    Attributes:
        environment: The environment variables that give a process this clock.
    """

    def __init__(self, folder: Path, seconds: float = 0.0) -> None:
        self._file = folder / "seconds"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sitecustomize.py").write_text(_SHIFT)
        self.set(seconds)
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {"PYTHONPATH": os.pathsep.join(paths), "SKEWED_CLOCK": str(self._file)}

    def set(self, seconds: float) -> None:
        """Set the clock."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        # In one step: a process may read it now.
        new.replace(self._file)
