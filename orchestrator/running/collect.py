"""Collects results until every job of a sweep has its row. A job has one row, however often it was executed."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate

from nn.errors import WeightsError
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import Cancelled, Ended, Failed, Finished, Running
from orchestrator.errors import BrokerUnreachableError
from orchestrator.folder.keeping import Keeper
from orchestrator.folder.rows import Row, accepted_row, check_weights, lost_row
from orchestrator.running.cancel import ended_by_a_cancelled_sweep
from orchestrator.running.membership import Membership
from orchestrator.running.waiting import Waiting
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import counted
from worker.errors import WeightsMissingError
from worker.job import Attempt, Job, Result, misfit
from worker.records import store
from worker.redis import limits
from worker.redis.bounded import chunks, read_lowest

#: The number of attempts to fetch a job's weights. If they are not in the store, the job is trained again.
WEIGHTS_TRIES = 3
#: Longest wait for the end of a failed attempt, in seconds: a worker records it just after it stored the failure.
LONGEST_WAIT = 1.0
_PAUSE = 0.05
#: Rows that are kept together.
SOME_ROWS = 16
#: Bytes of artifacts that are kept, or released, together.
SOME_BYTES = 2**24
#: Bytes that Redis needs for an artifact beside its content.
_OVERHEAD = 512
#: The artifacts that stay, by how many bytes had been released before them.
_RELEASED = store.key("released", "")[:-1]
_BYTES = store.key("released", "bytes")


class _EndedForAnotherError(Exception):
    """The cancellation of another sweep ended a job of this one. Caught in this module."""


class Collector:
    """Turns the states of a sweep's jobs into rows.

    Args:
        sweep: The sweep on its cluster.
        accept_weights: Keeps the weights of a row, which is accepted soon afterwards.
        accept: Keeps rows, one per job; returns them as they are in memory.
        keeper: Decides which weights are fetched, and whether a job is trained again without them.
    """

    def __init__(
        self,
        sweep: Membership,
        accept_weights: Callable[[Row, bytes], None],
        accept: Callable[..., list[Row]],
        keeper: Keeper,
    ) -> None:
        self._sweep = sweep
        self._accept_weights, self._accept = accept_weights, accept
        self._names = sweep.names
        self._submit = partial(sweep.cluster.queue.submit, varying=self._names.varying)
        self._keeper = keeper
        self._releases = sweep.cluster.embedded or not sweep.manifest.followed
        self._artifacts = Artifacts(sweep.cluster, sweep.manifest.name)
        #: The attempts at the next jobs that have ended and have no row yet. Like their states, they are read a few
        #: hundred jobs ahead, and not all at once, because others decide their size.
        self._ahead: Iterator[tuple[str, list[Attempt]]] = iter(())
        self._weights_tries: dict[str, int] = {}

    def begin(
        self,
        jobs: Mapping[str, Job],
        *,
        reuse: bool,
        reused_from: str | None,
        prepare: Callable[[Sequence[Job]], str | None] = lambda _jobs: None,
        fits: Callable[[Result], bool] = lambda _result: True,
    ) -> dict[str, Job]:
        """Take the stored results, and queue every other job that has no message.

        Stored failures and cancellations are removed, so that these jobs are retried.

        Args:
            jobs: The jobs, by key.
            reuse: Whether to take stored results.
            reused_from: The origin to record in the rows of reused results.
            prepare: Called with the jobs that are about to be queued; returns what is to be said of them.
            fits: Whether a stored result may be taken.

        Returns:
            The jobs to wait for.
        """
        cluster = self._sweep.cluster
        # Messages are read before results, so that a job which ends meanwhile is found in one of the two.
        messages = cluster.queue.messages(jobs)
        epochs = max((job.epochs for job in jobs.values()), default=1)
        waiting, again = dict(jobs), dict[str, Job]()
        for some in chunks(jobs):
            ended = {key: each for key, each in cluster.results.states(some, epochs) if not isinstance(each, Running)}
            if reused_from is None:
                self._ahead = cluster.attempts(list(ended))
            again |= {key: jobs[key] for key in ended}
            usable = [key for key, each in ended.items() if reuse and isinstance(each, Finished) and fits(each.result)]
            for key in self._take(jobs, {key: ended[key] for key in usable}, reused_from):
                del waiting[key], again[key]
        under_way = messages & waiting.keys()
        if under_way:
            are = "is" if len(under_way) == 1 else "are"
            self._sweep.progress.message(f"{counted(len(under_way), 'job')} {are} under way on the cluster already")
        # Removes flags of an earlier cancellation that workers have not acted on yet.
        cluster.store.drop("cancelled", waiting)
        new = [job for key, job in waiting.items() if key not in under_way and key not in again]
        cluster.forget(again)
        if sentence := prepare([*new, *again.values()]):
            self._sweep.progress.message(sentence)
        self._submit([*new, *again.values()])
        self._artifacts.release()
        return waiting

    def collect(self, jobs: Mapping[str, Job]) -> Iterator[str]:
        """Wait for these queued jobs, by key; accept those that have ended, and yield their keys."""
        waiting = Waiting(self._sweep.cluster, jobs, self._sweep.progress, self._submit, self._sweep)
        for states in waiting:
            self._ahead = self._sweep.cluster.attempts(list(states))
            again = dict(states)
            for key in self._take(jobs, states):
                del again[key]
                yield key
            for key in again:
                waiting.again(jobs[key])
        self._artifacts.release()

    def _attempts(self, key: str) -> list[Attempt]:
        """Skip to this one of the jobs ahead, and return the attempts at it, oldest first."""
        return next((attempts for found, attempts in self._ahead if found == key), [])

    def _take(
        self, jobs: Mapping[str, Job], states: Mapping[str, Ended], reused_from: str | None = None
    ) -> Iterator[str]:
        """Accept jobs that have ended, and yield the keys of those that have their rows.

        The others must be trained again: their weights are gone, or the cancellation of another sweep ended them.
        """
        left = deque(states)
        while left:
            rows, size = list[Row](), 0
            try:
                while left and len(rows) < SOME_ROWS and size < SOME_BYTES:
                    key = left.popleft()
                    size += self._fetch(jobs[key], states[key], reused_from, rows)
            finally:
                # In one write, because each waits for the disk; in `finally`, so that an interruption loses none.
                rows = self._accept(*rows) if rows else []
            for row in rows:
                state = states[row.job]
                if self._releases and isinstance(state, Finished) and row.accepted:
                    # The folder has the weights now, or has decided against them.
                    self._artifacts.add(row.job, jobs[row.job], state.result)
                self._sweep.progress.finished(row)
                if isinstance(state, Failed):
                    self._sweep.failed(row.job)
            yield from [row.job for row in rows]

    def _fetch(self, job: Job, state: Ended, reused_from: str | None, rows: list[Row]) -> int:
        """Add the row of a job that has ended, unless it must be trained again; return the bytes of kept weights."""
        try:
            row, blob = self._row(job, state, reused_from)
        except (WeightsError, _EndedForAnotherError) as error:
            self._sweep.progress.message(f"{self._names.job(job.seed, job.options)} is trained again: {error}")
            return 0
        with self._sweep.interruption.shield():
            if blob is not None:
                self._accept_weights(row, blob)
            rows.append(row)
        return len(blob or b"")

    def _row(self, job: Job, state: Ended, reused_from: str | None) -> tuple[Row, bytes | None]:
        match state:
            case Finished(result):
                return self._row_of_result(job, result, reused_from)
            case Failed(reason):
                return lost_row(job, "failed", reason, self._attempts(job.key)), None
            case Cancelled(reason):
                if ended_by_a_cancelled_sweep(reason) and self._sweep.has(job.key):
                    raise _EndedForAnotherError(reason)
                return lost_row(job, "cancelled", reason, self._attempts(job.key)), None

    def _row_of_result(self, job: Job, result: Result, reused_from: str | None) -> tuple[Row, bytes | None]:
        difference = misfit(job, result.status, result.validation_score, result.others, result.stopped)
        if difference is not None:
            return lost_row(job, "failed", f"the stored result belongs to another job: it has {difference}"), None
        attempts = self._attempts(job.key)
        row = accepted_row(job, result, reused_from, attempts)
        if not self._keeper.wants(row):
            return row, None
        try:
            return row, fetch_weights(self._sweep.cluster.store, job, result)
        except WeightsError as error:
            missing = self._keeper.bare and isinstance(error, WeightsMissingError)
            # Else Redis has lost them, and no other session has removed them.
            if missing and self._sweep.cluster.store.has_finished(job.key, result.made_by):
                self._keeper.gone += 1
                return row, None
            self._weights_tries[job.key] = tries = self._weights_tries.get(job.key, 0) + 1
            if tries < WEIGHTS_TRIES:
                raise
            return lost_row(job, "failed", str(error), [*attempts, *filter(None, [result.attempt])]), None


def fetch_weights(stored: store.Store, job: Job, result: Result) -> bytes:
    """Return the weights that a job's result names, after its trainer has checked them.

    Others may write to Redis, so neither the weights nor the result are trusted.

    Raises:
        WeightsMissingError: the weights are not in the store.
        WeightsError: they do not match their hash and size, or are not the job's.
    """
    size, largest = result.weights_bytes, job.max_bytes
    if size > largest:
        raise WeightsError(f"the result names weights of {size} bytes; the job's have at most {largest}")
    blob = stored.weights(job.key, result.weights_sha256, size)
    try:
        check_weights(job, result.status, blob)
    except WeightsError as error:
        raise WeightsError(f"the stored weights {result.weights_sha256} are not the job's: {error}") from None
    return blob


def completed(cluster: Cluster, rows: Mapping[str, Row]) -> Iterator[Row]:
    """Yield rows with the attempts whose ends the cluster learned after the row was written.

    It waits a moment for the last ones. An attempt never ends if its worker froze and another one finished the job.
    """
    own = [row for row in rows.values() if row.reused_from is None]
    left = [row.job for row in own if any(each.started and each.ended is None for each in row.history)]
    deadline = time.monotonic() + LONGEST_WAIT
    while left and time.monotonic() < deadline:
        asked, left = left, []
        for key, attempts in cluster.attempts(asked):
            if attempts:
                yield rows[key].with_history(attempts)
                if attempts[-1].end is None and rows[key].status == "failed":
                    left.append(key)
        if left:
            time.sleep(_PAUSE)


class Artifacts:
    """Removes the artifacts of a sweep's jobs from Redis once its folder has them, or has decided against them.

    An artifact stays while another unfinished sweep has its job. Of the others, the last ones stay for later sweeps, up
    to `Settings.artifact_bytes`.

    Args:
        cluster: The cluster.
        sweep: The sweep's name.
    """

    def __init__(self, cluster: Cluster, sweep: str) -> None:
        self._cluster = cluster
        self._sweep = sweep
        #: The artifacts to release, with their sizes.
        self._waiting: dict[str, int] = {}
        self._bytes = 0

    def add(self, key: str, job: Job, result: Result) -> None:
        """Release the artifact of a job with this key, which the sweep no longer needs, now or with later ones."""
        # Its size was not checked if the artifact was not fetched.
        size = min(result.weights_bytes, job.max_bytes) + _OVERHEAD
        self._waiting[store.artifact(key, result.weights_sha256)] = size
        self._bytes += size
        if self._bytes > SOME_BYTES:
            self.release()

    def release(self) -> None:
        """Release all, and remove those that nobody waits for and that exceed what stays."""
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        kept = self._cluster.store
        if self._cluster.embedded or not waiting:
            # An embedded cluster ends with this command.
            kept.drop("weights", waiting)
            return
        try:
            released = self._add_released(waiting)
        except BrokerUnreachableError:
            # One of the keys holds something else: start anew. The artifacts that were released expire. A command for
            # both would need one rule that allows both.
            for name in (_BYTES, _RELEASED):
                kept.client.unlink(name)
            released = self._add_released(waiting)
        job_of: dict[str, str] = {}
        highest = released - self._cluster.app.settings.artifact_bytes
        # The rest is left to the next one, because there may be any number.
        while len(job_of) < MAX_JOBS and (oldest := read_lowest(kept.client, _RELEASED, limits.ARTIFACT, highest)):
            names = ((name.hex()[:64], name.hex()[64:]) for name in oldest)
            job_of.update((store.artifact(*name), name[0]) for name in names)
            # If another session removes some meanwhile, others are forgotten here: they expire.
            kept.client.zremrangebyrank(_RELEASED, 0, len(oldest) - 1)
        # A sweep that waits for a job releases its artifact, too.
        wanted = self._cluster.registry.wanted_by_others(self._sweep, job_of.values()) if job_of else {}
        kept.drop("weights", (name for name, job in job_of.items() if job not in wanted))

    def _add_released(self, names: Mapping[str, int]) -> int:
        """Add these artifacts, with their sizes; return the bytes released so far."""
        kept, size = self._cluster.store, sum(names.values())
        released = int(kept.client.incrby(_BYTES, size))
        before = accumulate(names.values(), initial=released - size)
        # As bytes, because there may be hundreds of thousands.
        packed = (bytes.fromhex(name.replace(".", "")) for name in names)
        kept.client.zadd(_RELEASED, dict(zip(packed, before, strict=False)))
        for each in (_RELEASED, _BYTES):
            kept.client.expire(each, kept.expires)
        return released
