"""A cluster of a test's own: one Redis server, and as many workers as the test starts."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from celery.result import AsyncResult

from nn.datasets.mnist import MNIST_DIGEST
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker.app import SeedsweepApp, create_app
from worker.job import Attempt, Job, Result
from worker.messages import TRAIN, signature
from worker.records.store import Store, artifact, key
from worker.settings import Settings

#: Arguments of `Cluster.start_worker`: each epoch takes a tenth of a second, which it mostly sleeps.
SLOW_EPOCHS = ("--include", "tests.support.slow_epochs")


def make_job(**fields: Any) -> Job:
    """Return a real job on MNIST that takes a few hundredths of a second, but for the given fields."""
    given = {"learning_rate": 0.03, "epochs": 2, "limit": 500} | fields
    seed, dataset = given.pop("seed", 0), given.pop("dataset", MNIST_DIGEST)
    return Job.of(given, seed=seed, dataset=dataset)


class Cluster:
    """Starts workers on a server with short times, submits to them, and ends what is left of them.

    Args:
        server: The running server.
        folder: Where logs go.
        cache_dir: Where prepared data is kept between tests.
        settings: Fields of `Settings` that differ from a test's usual ones.
    """

    def __init__(self, server: RedisServer, folder: Path, cache_dir: Path, **settings: Any) -> None:
        self.server = server
        self.folder = folder
        usual = {"lease_seconds": 3.0, "restore_seconds": 0.5, "broker_url": server.url, "cache_dir": cache_dir}
        self.settings = Settings(**usual | settings)
        self.app: SeedsweepApp = create_app(self.settings)
        self.workers: list[WorkerProcess] = []
        self._others: list[Cluster] = []

    def with_settings(self, **settings: Any) -> Cluster:
        """Return a cluster with other settings on the same server, which ends with this one."""
        other = Cluster(self.server, self.folder, self.settings.cache_dir, **settings)
        self._others.append(other)
        return other

    @property
    def environment(self) -> dict[str, str]:
        """The settings as the environment variables that a worker reads."""
        fields = self.settings.model_dump(exclude_none=True)
        names = {"broker_url": "CELERY_BROKER_URL", "result_backend": "CELERY_RESULT_BACKEND"}
        return {names.get(name, f"SEEDSWEEP_{name.upper()}"): str(value) for name, value in fields.items()}

    def start_worker(
        self,
        *arguments: str,
        name: str = "",
        concurrency: int = 1,
        ready: bool = True,
        sociable: bool = False,
        prefix: tuple[str, ...] = (),
        **environment: str,
    ) -> WorkerProcess:
        """Start a worker and wait until it takes jobs."""
        name = name or f"w{len(self.workers) + 1}"
        worker = WorkerProcess(
            name,
            self.folder,
            self.environment | environment,
            *arguments,
            concurrency=concurrency,
            sociable=sociable,
            prefix=prefix,
        )
        self.workers.append(worker)
        return worker.wait_until_ready() if ready else worker

    def submit(self, job: Job, label: str | None = None) -> AsyncResult:
        return signature(self.app, job, label=label).apply_async()

    def attempts(self, run: str) -> list[Attempt]:
        ((_, attempts),) = self.app.tasks[TRAIN].attempts().of_each([run])
        stored = self.app.backend.get_task_meta(run, cache=False)
        if stored["status"] == "SUCCESS" and (made := Result.model_validate(stored["result"]).attempt):
            # Its own record is removed just after the result is stored.
            attempts = [*(each for each in attempts if each.started != made.started), made]
        return sorted(attempts, key=lambda attempt: attempt.number)

    def causes(self, run: str) -> list[str]:
        """Return why each attempt at a run was begun.

        A worker that is killed between a heartbeat and the renewal of its leases is not known to be lost for up to a
        second after its job was delivered again. Here, both count as `worker lost`.
        """
        attempts = self.attempts(run)
        killed = {worker.name for worker in self.workers if worker.process.poll() is not None}
        followed = [False, *(attempt.worker in killed for attempt in attempts)]
        return [
            "worker lost" if attempt.cause == "delivered again" and lost else attempt.cause
            for attempt, lost in zip(attempts, followed, strict=False)
        ]

    def ends(self, run: str) -> list[str | None]:
        """Return how each attempt at a run ended; None if that is not known."""
        return [attempt.end for attempt in self.attempts(run)]

    def begin(self, job: Job) -> str:
        """Submit a job, and wait until it has trained an epoch; return its run."""
        run = str(self.submit(job).id)
        self.wait_for_state(run, "PROGRESS")
        return run

    def store(self) -> Store:
        return Store(self.app.backend.client, expires=self.settings.result_expires)

    def lose_weights(self, hashes: Iterable[str]) -> None:
        """Remove weights from Redis, as their expiry does."""
        client = self.server.client()
        client.unlink(*(name for sha256 in hashes for name in client.keys(key("weights", artifact("*", sha256)))))

    def state(self, run: str) -> str:
        """Return the Celery state of a run."""
        return str(self.app.backend.get_task_meta(run, cache=False)["status"])

    def wait_for_state(self, run: str, *states: str) -> dict[str, Any]:
        """Wait until a run is in one of these states; return what the backend holds for it."""

        def meta() -> dict[str, Any] | None:
            found: dict[str, Any] = self.app.backend.get_task_meta(run, cache=False)
            return found if found["status"] in states else None

        return wait_for(meta, f"run {run[:12]} in {' or '.join(states)}", report=self.logs)

    def result(self, run: str) -> Result:
        """Wait until a run has ended, and return the result that it must have."""
        meta = self.wait_for_state(run, "SUCCESS", "FAILURE", "REVOKED")
        assert meta["status"] == "SUCCESS", f"{meta}\n{self.logs()}"
        return Result.model_validate(meta["result"])

    def error(self, run: str) -> Exception:
        """Wait until a run has ended, and return the error with which it must have failed."""
        error = self.wait_for_state(run, "SUCCESS", "FAILURE", "REVOKED")["result"]
        assert isinstance(error, Exception), f"{error}\n{self.logs()}"
        return error

    def wait_until_queued(self, count: int) -> None:
        """Wait until so many messages wait for a worker."""
        wait_for(lambda: self.server.client().llen("seedsweep") == count, f"{count} queued jobs", report=self.logs)

    def wait_until_acknowledged(self) -> None:
        """Wait until no worker holds a message."""
        wait_for(lambda: not self.server.client().hlen("seedsweep:unacked"), "no message held", report=self.logs)

    def logs(self) -> str:
        return "\n".join(f"--- {worker.name}\n{worker.text()}" for worker in self.workers)

    def close(self) -> None:
        """End every worker that still runs, also of the clusters with other settings."""
        for other in self._others:
            other.close()
        for worker in self.workers:
            worker.kill()
        self.app.close()


@contextlib.contextmanager
def running_cluster(folder: Path, cache_dir: Path) -> Iterator[Cluster]:
    """A cluster that the tests of a module share: a server, and the workers that the caller starts.

    Args:
        folder: Where logs go.
        cache_dir: Where prepared data is kept between tests.
    """
    with (
        tempfile.TemporaryDirectory(prefix="sw-") as short,
        RedisServer(Path(short)) as server,
        contextlib.closing(Cluster(server, folder, cache_dir)) as made,
    ):
        yield made
