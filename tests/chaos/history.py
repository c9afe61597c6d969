"""The history of a run: what was done to it and what was seen of it, a line of JSON each."""

import json
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class History:
    """Events in the order in which they were seen; `t` is in seconds since the history began."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self.path = path
        self.events: list[Event] = []
        self.began = time.time()

    def now(self) -> float:
        return time.time() - self.began

    def add(self, event: str, **fields: Any) -> Event:
        """Note an event; it is on disk when this returns."""
        noted = {"t": round(self.now(), 3), "event": event, **fields}
        self.events.append(noted)
        with self.path.open("a") as file:
            file.write(json.dumps(noted) + "\n")
        return noted


def read(path: Path) -> list[Event]:
    return [json.loads(line) for line in path.read_text().splitlines()]
