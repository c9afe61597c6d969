"""Workers as Redis may know them, without any worker."""

import socket
import time
from typing import Any

from worker.records.presence import Presence


def presence(silent_for: float = 0.0, **fields: Any) -> Presence:
    """Return an idle worker of this host that is well, and whose last heartbeat was some seconds ago."""
    beat = time.time() - silent_for
    usual: dict[str, Any] = {
        "name": "w1@dead", "host": socket.gethostname(), "pid": 1, "started": beat - 50, "beat": beat, "looped": beat,
        "kept_up": beat, "running": {}, "concurrency": 1, "blocking": False, "consuming": True, "broken": None,
        "dataset": None, "trainer": "network", "versions": [1, 2], "data": "", "done": 0, "interval": 1.0,
        "connected": True, "stopping": False, "exhausted": None, "ahead": 0.0,
    }  # fmt: skip
    return Presence(**usual | fields)
