"""Detects why a sweep stalls: Redis lost jobs, or no worker takes jobs.

A lost job has neither a result nor a message. A server without persistence loses its queue when it ends, and a worker
that dies between taking a message and recording it loses the message.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.cluster.cluster import Cluster
from orchestrator.errors import ClusterError
from orchestrator.running.underway import share_of_time
from worker.job import Needs
from worker.records.presence import Presence, Problem, clocks_of, problem_of
from worker.redis.clock import disagreeing, disagreement

#: Shortest time between two searches for lost jobs, in seconds. A search reads all messages.
LOOK_SECONDS = 3.0
#: The longest time between two searches, in seconds. It limits the pause after a search that waited for an outage.
LONGEST_LOOK_SECONDS = 30.0
#: Seconds without progress after which a sweep asks what is wrong with the workers.
STALL_SECONDS = 3.0
#: The shortest and the longest time between two readings of the workers' presence, in seconds.
LOOK_AT_WORKERS_SECONDS = 1.0
LONGEST_LOOK_AT_WORKERS_SECONDS = 5.0
#: Seconds after which the user is told again.
REMINDER_SECONDS = 60.0
#: Seconds after which the user is told of other problems.
CHANGE_SECONDS = 5.0
#: How many heartbeats of a worker in a row may be missing before the user is told.
MISSED_HEARTBEATS = 3
#: How many workers a message names.
SHOWN = 5


class LostJobs:
    """Searches for lost jobs. A job is lost if two searches in a row found neither its message nor its result."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._next = time.monotonic() + LOOK_SECONDS
        self._suspects: set[str] = set()

    def lost(self, waiting: Iterable[str]) -> set[str]:
        """Return which of these tasks are lost; an empty set until the next search is due."""
        started = time.monotonic()
        if started < self._next:
            return set()
        # Messages are read before results. A result is stored before its message is acknowledged, so a task that ends
        # meanwhile is found in one of the two. A message that moves from the queue to a worker is briefly in neither,
        # which is why a second search must agree.
        silent = set(waiting)
        silent -= self._cluster.queue.messages(silent)
        silent -= self._cluster.results.over(silent)
        lost = silent & self._suspects
        self._suspects = silent - lost
        now = time.monotonic()
        self._next = now + share_of_time(now - started, LOOK_SECONDS, LONGEST_LOOK_SECONDS)
        return lost


@dataclass(frozen=True)
class Stall:
    """Why a sweep makes no progress.

    Attributes:
        sentence: The reason, for the user.
        problems: The name of each worker with a problem, and the kind of the problem.
        final: Whether waiting is futile.
    """

    sentence: str
    problems: frozenset[tuple[str, str]]
    final: bool = False


class StallWatch:
    """Tells the user that no worker takes jobs, and repeats it every minute; and once, that clocks disagree.

    Args:
        cluster: The cluster.
        tell: Shows a message to the user.
        needs: What a worker must have for the jobs.
        silent: Receives the id of each running task without progress for `silent_seconds`, its worker's name, and the
            seconds without progress beyond those; again at the next look until it returns True. None to ignore them.

    Attributes:
        workers: The workers at the last look.
        lost: Those that are lost, by name (`Roster.lost`).
    """

    def __init__(
        self,
        cluster: Cluster,
        tell: Callable[[str], None],
        needs: Collection[Needs] = (),
        silent: Callable[[str, str, float], bool] | None = None,
    ) -> None:
        self.workers: list[Presence] = []
        self.lost: Mapping[str, float] = {}
        self._silent = silent
        self._silent_told: set[str] = set()
        self._needs = frozenset(needs)
        self._cluster = cluster
        self._tell = tell
        self._roster = cluster.roster
        self._moved = self._next_look = time.monotonic()
        self._running: Mapping[str, object] = {}
        self._doubtful = False
        self._told: Stall | None = None
        self._told_at = 0.0
        self._clocks_told: set[str] = set()

    def look(self, *, ended: bool, running: Mapping[str, object]) -> None:
        """Read the workers' presence, now and then; tell what is wrong if there was no progress for `STALL_SECONDS`.

        Args:
            ended: Whether a task has ended since the last call.
            running: The reports of the running tasks. A changed report is progress.

        Raises:
            ClusterError: the worker of an embedded cluster takes no more jobs.
        """
        started = time.monotonic()
        if ended or running != self._running:
            self._running = dict(running)
            self._moved = started
        if ended:
            self._told = None
        if started < self._next_look:
            return
        workers = self._roster.all()
        now = time.monotonic()
        self._next_look = now + share_of_time(now - started, LOOK_AT_WORKERS_SECONDS, LONGEST_LOOK_AT_WORKERS_SECONDS)
        self.workers, self.lost = workers, self._roster.lost(workers)
        ahead = clocks_of(workers, self._roster.clock)
        hosts = disagreeing(ahead, self._roster.lease)
        if hosts - self._clocks_told:
            self._clocks_told |= hosts
            self._tell(str(disagreement(ahead, self._roster.lease)))
        if self._silent is not None:
            self._tell_silent(workers, self._silent)
        stall = self._stall(workers) if now - self._moved > STALL_SECONDS else None
        # Two looks must agree: after an outage of Redis, workers need a moment to report again.
        if stall is not None and self._doubtful:
            self._tell_stall(stall, now)
        self._doubtful = stall is not None

    def _tell_stall(self, stall: Stall, now: float) -> None:
        if stall.final:
            raise ClusterError(stall.sentence)
        told = self._told
        pause = REMINDER_SECONDS if told is not None and told.problems == stall.problems else CHANGE_SECONDS
        if told is None or now - self._told_at > pause:
            self._told, self._told_at = stall, now
            self._tell(stall.sentence)

    def _tell_silent(self, workers: list[Presence], tell: Callable[[str, str, float], bool]) -> None:
        late = self._roster.clock.now() - self._cluster.app.settings.silent_seconds
        for worker in workers:
            for task, progress in worker.running.items():
                known = task not in self._running or task in self._silent_told
                if progress < late and not known and tell(task, worker.name, late - progress):
                    self._silent_told.add(task)

    def _stall(self, workers: list[Presence]) -> Stall | None:
        """Return why no worker trains the sweep's jobs, or None if one may."""
        now = self._roster.clock.now()
        # A worker that has been silent for a lease has lost its jobs to others.
        workers = [worker for worker in workers if worker.name not in self.lost] or workers
        if not workers:
            sentence = f"No worker is online at {self._cluster.address} yet: waiting for one"
            if self._cluster.embedded:
                sentence = "The worker is starting: the first time, it prepares the data set and the trainer"
            return Stall(sentence, frozenset())
        problems = {worker.name: problem for worker in workers if (problem := self._problem(worker, now)) is not None}
        if any(worker.name not in problems and worker.running.keys() & self._running for worker in workers):
            return None
        if not problems:
            return self._unserved(workers)
        named = [f"{name} {problem.sentence}" for name, problem in problems.items()]
        more = [f"and {len(named) - SHOWN} more"] if len(named) > SHOWN else []
        all_of_them = len(problems) == len(workers)
        who = "No worker" if all_of_them else f"{len(problems)} of {len(workers)} workers"
        verb = "takes" if all_of_them else "take no"
        return Stall(
            f"{who} at {self._cluster.address} {verb} jobs: {'; '.join(named[:SHOWN] + more)}",
            frozenset((name, problem.kind) for name, problem in problems.items()),
            final=self._cluster.embedded and all(problem.kind == "broken" for problem in problems.values()),
        )

    def _unserved(self, workers: list[Presence]) -> Stall | None:
        """Return a stall if no worker has what any of the jobs needs; else None."""
        if not self._needs or any(worker.has(needs) for worker in workers for needs in self._needs):
            return None
        wanted = " or ".join(sorted(map(str, self._needs)))
        found = [
            f"{worker.name} has the trainer {worker.trainer} with the data set {str(worker.dataset)[:12]}"
            for worker in workers[:SHOWN]
        ]
        return Stall(
            f"No worker at {self._cluster.address} has {wanted}: {'; '.join(found)}",
            frozenset((worker.name, "trainer") for worker in workers),
        )

    def _problem(self, worker: Presence, now: float) -> Problem | None:
        patience = min(MISSED_HEARTBEATS * worker.interval, self._roster.lease)
        return problem_of(worker, now, patience=patience, idle=patience)
