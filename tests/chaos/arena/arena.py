"""What a run takes place in: a Redis server, a proxy before it, two workers, and an orchestrator."""

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.chaos.arena.monitor import Monitor
from tests.chaos.arena.oracle import CleanRun
from tests.chaos.arena.other import OtherSweep
from tests.chaos.arena.screen import Screen
from tests.chaos.history import History
from tests.chaos.plan import Plan
from tests.support import launcher
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.memory import resident
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.skewed_clock import SkewedClock
from tests.support.worker_process import WorkerProcess
from worker.records.store import Store
from worker.redis.waiting import Patient, WaitingRedis

LEASE_SECONDS = 3.0
RESTORE_SECONDS = 0.5
#: The default. What takes workers down here is never the job's fault, so that no job may be hit as often as that.
MAX_ATTEMPTS = 3
#: Seconds without progress after which a process is ended, where one hangs: as short as its timeout for Redis allows.
HANG_SECONDS = 6.0
NAME = "chaos"
#: The most open files of a worker: what leaks with each try to connect is gone within seconds.
DESCRIPTORS = 128


class Arena:
    """Holds the parts, and ends them all in the end.

    Args:
        plan: What will be done.
        clean: The sweep.
        folder: For logs and Redis's data; its path must be short, as a unix socket's.
        output: The sweep's output folder.
        cache_dir: Where prepared data and compiled kernels are.
        history: Where it notes what happens.
    """

    def __init__(
        self, plan: Plan, clean: CleanRun, folder: Path, output: Path, cache_dir: Path, history: History
    ) -> None:
        self.plan = plan
        self.jobs = clean.jobs
        self.workload = clean.workload
        self.history = history
        self.output = output
        self.redis = RedisServer(
            folder,
            persistent=plan.persistence != "none",
            options={} if plan.persistence == "none" else {"appendfsync": plan.persistence},
        )
        self.redis_is_away = False
        self.redis_refuses_writes = False
        self.network_is_silent = False
        self.proxy = Proxy(self.redis.port)
        self.cluster = Cluster(
            self.redis,
            folder,
            cache_dir,
            broker_url=self.proxy.url,
            lease_seconds=LEASE_SECONDS,
            restore_seconds=RESTORE_SECONDS,
            checkpoint_seconds=0.3,
            max_attempts=MAX_ATTEMPTS,
            **({"socket_seconds": 2.0, "hang_seconds": HANG_SECONDS} if plan.has("hang a process") else {}),
        )
        self.client = self.redis.client()
        self.patient_client = WaitingRedis(self.client, Patient())
        self.store = Store(self.patient_client, expires=self.cluster.settings.result_expires)
        jobs = [*clean.jobs, *sorted(self.workload.other_jobs)] if plan.has("cancel a sweep") else clean.jobs
        self.monitor = Monitor(self.client, jobs, output / NAME / "results.jsonl", history)
        #: How often each job was hit by what may count against it.
        self.hits: Counter[str] = Counter()
        self.workers: list[WorkerProcess] = []
        self.frozen: list[WorkerProcess] = []
        self.killed: set[str] = set()
        self.cancelled: set[str] = set()
        #: Seconds that each worker took to end after SIGTERM.
        self.stops: dict[str, float] = {}
        #: The most memory that each worker had at a time, in bytes, and its open files at the end.
        self.peaks: dict[str, int] = {}
        self.descriptors: dict[str, int] = {}
        self._stopping: list[tuple[WorkerProcess, float]] = []
        self.filler: Path | None = None
        #: Set where the orchestrators draw on a terminal: the last one's.
        self._screen: Screen | None = None
        self.orchestrator: launcher.Popen | None = None
        self.statuses: list[int] = []
        self._commands = CommandLine(folder, folder, cache_dir)
        self._log = folder / "orchestrator.log"
        #: How many jobs each worker trains at once.
        self.processes: dict[str, int] = {}
        #: The workers' clocks, where one of them is to be set wrong.
        self.clocks: dict[str, SkewedClock] = {}
        self._url = self.proxy.url if plan.proxied else self.redis.url
        self.other = OtherSweep(self._commands, folder, self._url, self.workload)
        #: What is to be done, and when.
        self.deferred: list[tuple[float, Callable[[], None]]] = []

    def __enter__(self) -> Self:
        self.redis.start()
        self.proxy.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_orchestrator()
        self.other.close()
        self.cluster.close()
        self.monitor.close()
        self.client.close()
        self.proxy.close()
        self.redis.stop()

    def start_worker(self, name: str, processes: int = 1, replaces: str | None = None) -> WorkerProcess:
        """Start a worker without waiting for it."""
        environment = dict(self.workload.environment)
        if self.plan.has("skew a clock"):
            clock = self.clocks[f"{name}@test"] = SkewedClock(self.redis.folder / f"{name}-clock")
            environment |= clock.environment
        worker = self.cluster.start_worker(
            name=name,
            concurrency=processes,
            ready=False,
            # Only a worker that looks for others hears their events, and what somebody shouts there.
            sociable=self.plan.has("shout"),
            prefix=("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"),
            **environment,
        )
        self.workers.append(worker)
        self.processes[worker.name] = processes
        self.history.add("worker started", worker=worker.name, replaces=replaces)
        return worker

    def replace(self, old: WorkerProcess, *, same_name: bool, after: float = 0.0) -> None:
        """Start another worker for one that ends: containers have a new name each, services keep theirs."""
        self.workers.remove(old)

        def start() -> None:
            name = old.name.partition("@")[0] if same_name else f"w{len(self.cluster.workers) + 1}"
            self.start_worker(name, self.processes[old.name], replaces=old.name)

        if after:
            self.later(after, start)
        else:
            start()

    def measure(self) -> None:
        """Note what the workers that live have cost this machine."""
        for worker in self.workers:
            with contextlib.suppress(OSError):
                self.peaks[worker.name] = resident("VmHWM", worker.process.pid)
                self.descriptors[worker.name] = len(list(Path(f"/proc/{worker.process.pid}/fd").iterdir()))
        self.history.add("measured", peaks=self.peaks, descriptors=self.descriptors)

    def stop_worker(self, worker: WorkerProcess) -> None:
        """End a worker as `docker stop` does, without waiting for it."""
        worker.process.send_signal(signal.SIGTERM)
        self._stopping.append((worker, time.monotonic()))

    def look_at_stopping(self) -> bool:
        """Note the workers that have ended after SIGTERM; return whether all have."""
        for worker, since in list(self._stopping):
            if worker.process.poll() is not None:
                self._stopping.remove((worker, since))
                self.stops[worker.name] = round(time.monotonic() - since, 2)
                self.history.add("worker stopped", worker=worker.name, seconds=self.stops[worker.name])
        return not self._stopping

    def ask_stopping(self) -> None:
        """Let the workers that do not end log what each of their threads is doing."""
        for worker, _ in self._stopping:
            worker.process.send_signal(signal.SIGUSR1)

    def usable_workers(self) -> list[WorkerProcess]:
        return [worker for worker in self.workers if worker not in self.frozen]

    def sweep(self) -> None:
        """Start the sweep."""
        self._start_orchestrator("sweep", *self.workload.flags, "--name", NAME, "--no-reuse")

    def go_on(self, choice: int = 0) -> None:
        """Start another orchestrator for the sweep, by one of the two commands for that."""
        commands = (("sweep", "--resume", "--name", NAME), ("watch", NAME))
        self._start_orchestrator(*commands[choice % len(commands)])

    def _start_orchestrator(self, *words: str) -> None:
        command = self._commands.command(*words, "--output", str(self.output), "--broker", self._url)
        if self.plan.has("foreign values"):
            self._screen = Screen(command, self._log, self._commands.environment)
            self.orchestrator = self._screen.process
        else:
            with self._log.open("ab") as log:
                self.orchestrator = launcher.Popen(
                    command, stdout=log, stderr=log, env=self._commands.environment, start_new_session=True
                )
        self.history.add("orchestrator started", command=words[0])

    def kill_orchestrator(self) -> None:
        """Kill the orchestrator, if one runs."""
        if self.orchestrator is not None:
            if self.orchestrator.poll() is None:
                os.killpg(self.orchestrator.pid, signal.SIGKILL)
            self.wait_for_orchestrator()

    def wait_for_orchestrator(self) -> int:
        """Return the exit status of the orchestrator, and let it go, with all that it said in the log."""
        assert self.orchestrator is not None
        status = self.orchestrator.wait()
        if self._screen is not None:
            self._screen.close()
            self._screen = None
        self.orchestrator = None
        return status

    def said(self) -> str:
        """Return what all orchestrators of this run have printed."""
        told = self._log.read_text(errors="replace") if self._log.exists() else ""
        return told + (self._screen.text() if self._screen is not None else "")

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after a while."""
        self.deferred.append((time.monotonic() + seconds, action))

    def do_due(self) -> None:
        """Do what was to be done by now."""
        now = time.monotonic()
        due = [item for item in self.deferred if item[0] <= now]
        self.deferred = [item for item in self.deferred if item[0] > now]
        for _, action in sorted(due, key=lambda item: item[0]):
            action()
