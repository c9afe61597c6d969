"""Flower as docker-compose.yml runs it, as a process of the test's own."""

import contextlib
import json
from pathlib import Path
from typing import Any, Self

from tests.support.redis_server import Program, free_port
from tests.support.waiting import wait_for
from tests.support.web import ask, basic
from tests.support.worker_process import start_celery

USER, PASSWORD = "seedsweep", "a-password-of-this-test"


class FlowerProcess(Program):
    """Flower behind a password, read-only, with its history in a file.

    Args:
        folder: Where its log and its history go.
        broker: The URL of the broker.
        environment: More environment variables: `FLOWER_MAX_TASKS`, `SEEDSWEEP_...`.
    """

    def __init__(self, folder: Path, broker: str, **environment: str) -> None:
        self.port = free_port()
        self.log = folder / "flower.log"
        self._database = folder / "flower.db"
        self._environment = {
            "CELERY_BROKER_URL": broker,
            "FLOWER_ADDRESS": "127.0.0.1",
            "FLOWER_PORT": str(self.port),
            "FLOWER_BASIC_AUTH": f"{USER}:{PASSWORD}",
            "FLOWER_COOKIE_SECRET": "a cookie secret of this test",
            "FLOWER_READ_ONLY": "true",
            "FLOWER_PERSISTENT": "true",
            "FLOWER_DB": str(self._database),
            "FLOWER_STATE_SAVE_INTERVAL": "500",
            "FLOWER_MAX_TASKS": "20000",
        } | environment
        self.log.touch()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and wait until it answers and listens to the workers."""
        self._logged = len(self.text())
        self.process = start_celery(self.log, self._environment, "flower")
        wait_for(self._answers, "Flower", report=self.text)
        return self

    def written(self) -> int:
        """Return when its history was last written, in nanoseconds; 0 if it was not."""
        times = [0]
        # Python's dbm may add a suffix to the name; what is being written is called otherwise.
        for file in self._database.parent.glob(f"{self._database.name}*"):
            if ".tmp" not in file.name:
                with contextlib.suppress(FileNotFoundError):
                    times.append(file.stat().st_mtime_ns)
        return max(times)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def get(
        self, path: str, *, user: str | None = USER, password: str = PASSWORD, method: str = "GET"
    ) -> tuple[int, str]:
        """Ask for a page; return the HTTP status and what came."""
        answer = ask(self.port, path, method, **({} if user is None else basic(user, password)))
        return answer.status, answer.text

    def json(self, path: str) -> Any:
        status, body = self.get(path)
        assert status == 200, f"{path}: {status} {body}\n{self.text()}"
        return json.loads(body)

    def tasks(self, state: str | None = None) -> dict[str, Any]:
        """Return the jobs that Flower knows, by key."""
        found: dict[str, Any] = self.json("/api/tasks?limit=100000" + (f"&state={state}" if state else ""))
        return found

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"Flower ended:\n{self.text()}"
        try:
            return self.get("/healthcheck", user=None)[0] == 200 and "Connected to" in self.text()[self._logged :]
        except OSError:
            return False
