"""The sweep of a session on its cluster: registers it, adds jobs to it, and carries out its cancellation."""

import shlex
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from nn.errors import printable
from orchestrator.cluster.cluster import Cluster
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running.cancel import cancel_jobs, reason
from orchestrator.running.growth import Grow, grown
from orchestrator.running.listener import Progress
from orchestrator.running.stalls import LOOK_SECONDS
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.job import Job
from worker.text import one_line

#: Seconds for which a following session waits for the other one to draw configurations, and between two looks.
DRAWING_SECONDS = 5.0
DRAWING_LOOK_SECONDS = 0.5
#: The lines of a silent job's stack that are shown, and the seconds that its process gets to write them.
_STACK_LINES = 3
_STACK_SECONDS = 10.0


@dataclass
class Membership:
    """The sweep of a session, in its folder and on its cluster. It grows in both, or stays as it is.

    Attributes:
        cluster: The cluster.
        folder: The sweep's folder, which this process has locked.
        manifest: The sweep's manifest, as the folder has it, with what was added to it.
        jobs: The sweep's jobs by key, to which the session adds further ones.
        progress: Receives messages for the user, reports and rows.
        interruption: Defers signals while the folder is written.
        fail_fast: The number of failed jobs after which the others are cancelled; None for no such number.
    """

    cluster: Cluster
    folder: SweepFolder
    manifest: Manifest
    jobs: Mapping[str, Job]
    progress: Progress
    interruption: Interruption
    fail_fast: int | None = None
    _failures: int = field(default=0, init=False)
    _has_told_failure: bool = field(default=False, init=False)
    _next: float = field(default=0.0, init=False)
    _cancelled: str | None = field(default=None, init=False)
    #: Jobs that another session has withdrawn.
    _withdrawn: set[str] = field(default_factory=set, init=False)
    #: Jobs that continue for another sweep; None until the cancellation is carried out.
    _wanted: dict[str, str] | None = field(default=None, init=False)

    @property
    def names(self) -> JobNames:
        """Names its jobs, as far as they are known now."""
        return JobNames(self.jobs.values(), self.manifest.axes)

    def reopen(self) -> None:
        """Register a sweep that begins or is resumed; take the later of its two manifests."""
        self._take(self.cluster.registry.reopen(self.manifest))

    def register(self) -> bool:
        """Register the sweep, unless it is registered already; return whether another session has changed it."""
        return self._take(self.cluster.registry.register(self.manifest))

    def grow(self, rows: Mapping[str, Row], grow: Grow | None = None) -> bool:
        """Add jobs: those that another session has added, or else the next ones. A cancelled sweep gets none.

        Args:
            rows: The rows of all its jobs, by key.
            grow: Called for further jobs if the sampler has drawn all configurations.

        Returns:
            Whether the sweep has grown.
        """
        if self._is_cancelled(rows):
            return False
        if self.register():
            return True
        longer = grown(self.manifest, rows) or (None if grow is None else grow(self.manifest, rows))
        if longer is not None:
            # The cluster first: if another session has added other jobs there meanwhile, the folder stays as it is.
            self._take(self.cluster.registry.register(longer))
        # Without a new job, too: a sampler that has chosen a configuration again draws once more.
        return longer is not None

    def wait_for_others(self, rows: Mapping[str, Row]) -> bool:
        """Return whether another session adds jobs.

        It waits a while for a sampler's configurations: the session that trains the sweep draws them.
        """
        deadline = time.monotonic() + DRAWING_SECONDS
        while not self._is_cancelled(rows):
            if self.register():
                return True
            if not self.manifest.specification.remaining or time.monotonic() > deadline:
                break
            time.sleep(DRAWING_LOOK_SECONDS)
        return False

    def _is_cancelled(self, rows: Mapping[str, Row]) -> bool:
        # Redis may have lost the mark of a cancellation that was carried out.
        ended = any(row.status == "cancelled" for key, row in rows.items() if key not in self._withdrawn)
        return ended or self.cancelled() is not None

    def has(self, key: str) -> bool:
        """Return whether a job is still to be trained: the sweep is not cancelled, and no session has withdrawn it."""
        # First, because the cluster's manifest may be large, and there may be many cancelled jobs.
        if self.cancelled() is not None:
            return False
        if key not in self._withdrawn:
            self._withdrawn = set(self.manifest.jobs).difference(self.cluster.registry.longer(self.manifest).jobs)
        return key not in self._withdrawn

    def _take(self, manifest: Manifest) -> bool:
        """Write the manifest into the folder if it has other jobs, and return whether it has."""
        has_others = manifest.extent != self.manifest.extent
        if has_others:
            with self.interruption.shield():
                self.folder.write_manifest(manifest)
        self.manifest = manifest
        return has_others

    def keep(self) -> None:
        """Renew the registration and check the folder, at most every `LOOK_SECONDS`.

        Raises:
            OutputError: the sweep's folder was removed.
            ClusterFullError: Redis is full, so that workers cannot store results either.
        """
        if time.monotonic() >= self._next:
            self.folder.check_held()
            self.cluster.registry.keep(self.manifest)
            self._next = time.monotonic() + LOOK_SECONDS

    def cancelled(self) -> str | None:
        """Return why the sweep is cancelled, or None. A cancellation stays in force even if Redis loses its mark."""
        if self._cancelled is None:
            self._cancelled = self.cluster.registry.cancelled(self.manifest.name)
        return self._cancelled

    def given_up(self, waiting: Collection[str]) -> dict[str, str] | None:
        """Carry out the cancellation of the sweep, if it is cancelled.

        Args:
            waiting: The jobs without a row.

        Returns:
            None while the sweep is not cancelled. Afterwards, the jobs for which the session need not wait any longer,
            each with the reason for its row. The others have ended, or end at the next epoch on a live worker.
        """
        stored = self.cancelled()
        if stored is None:
            return None
        if self._wanted is None:
            # Its jobs may all have ended before this session looks.
            self._wanted = cancel_jobs(self.cluster, self.manifest.name, waiting).wanted if waiting else {}
            by = one_line(stored.removeprefix(reason(self.manifest.name)))
            self.progress.message(f"The sweep {self.manifest.name} is cancelled{by}")
        if not waiting:
            return {}
        running = self.cluster.running()
        silent = [key for key in waiting if key in self._wanted or key not in running]
        if silent and self.cluster.roster.online():
            # Some may have begun since their worker's last heartbeat. One that is queued again may wait for hours.
            taken = self.cluster.queue.messages(silent) - self.cluster.queue.queued(silent)
            silent = [key for key in silent if key in self._wanted or key not in taken]
        ended, why = self.cluster.results.over(silent), reason(self.manifest.name)
        going_on = {key: f"{why}; the job goes on for the sweep {other}" for key, other in self._wanted.items()}
        return {key: going_on.get(key, why) for key in silent if key not in ended}

    def silent(self, key: str, worker: str, beyond: float) -> bool:
        """Say that a job makes no progress, and the innermost lines of its stack if its log is in the folder.

        The job's process writes its stack on its own, perhaps a little later.

        Args:
            key: The job.
            worker: The name of the worker that trains it.
            beyond: Seconds without progress beyond those after which the process writes its stack.

        Returns:
            Whether it was said; False if the stack may still come.
        """
        # The main thread is the last one.
        _, dumped, after = (self.folder.log(key) or "").rpartition("(most recent call first):\n")
        if after.count("\n") < _STACK_LINES and self.cluster.embedded and beyond < _STACK_SECONDS:
            return False
        stack = after.splitlines()[:_STACK_LINES] if dumped else []
        job = self.names.job(self.jobs[key].seed, self.jobs[key].options)
        where = ": it is at" if stack else ""
        self.progress.message("\n".join([f"No sign of life of {job}, which {worker} trains{where}", *stack]))
        return True

    def failed(self, key: str) -> None:
        """Keep the end of a failed job's log, show that of the first one, and cancel the sweep after `fail_fast`."""
        self._failures += 1
        log = printable(self.cluster.store.log(key).decode(errors="replace"))
        if log and not self.cluster.embedded:
            self.folder.keep_log(key, log)
        # Not before the folder has it.
        self.cluster.store.drop("log", [key])
        if log and not self._has_told_failure:
            self._has_told_failure = True
            # Without the lines that underline a part of another.
            lines = [line for line in log.splitlines() if line.strip(" ^~")]
            end = "\n  ".join(lines[-3:])
            command = shlex.join(("orchestrator", "logs", str(self.folder.path), key[:12]))
            self.progress.message(f"The first failure:\n  {end}\nIts log: {command}")
        if self._failures == self.fail_fast:
            self.progress.message(f"{counted(self._failures, 'job')} failed: the others are cancelled")
            self.cluster.registry.cancel(self.manifest, reason(self.manifest.name))
