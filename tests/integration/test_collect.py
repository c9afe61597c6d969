"""Submission, collection and reconciliation on a real Redis server, with and without workers."""

import json
import socket
from collections.abc import Callable
from operator import call
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import Mock

import pytest
from celery.exceptions import TaskRevokedError

from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.cluster.queue import Queue
from orchestrator.cluster.results import Cancelled, Failed, Finished, Running
from orchestrator.errors import BrokerUnreachableError, ClusterFullError
from orchestrator.folder.keeping import Keeper
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running import stalls
from orchestrator.running.collect import Collector
from orchestrator.running.membership import Membership
from orchestrator.running.stalls import LostJobs
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.sweep_folders import result
from tests.support.sweeps import manifest_of, sweep_of
from tests.support.waiting import wait_for
from worker.errors import NoSuchWorkerError
from worker.health import check
from worker.job import Job, task_id
from worker.messages import TRAIN
from worker.redis.waiting import WaitingRedis

T = TypeVar("T")


class Recorder:
    """Takes rows and messages down. It shows nothing, as a real program that embeds the collector might."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.blobs: list[bytes] = []
        self.messages: list[str] = []
        self.shown: list[str] = []

    def accept_weights(self, _row: Row, blob: bytes) -> None:
        self.blobs.append(blob)

    def accept(self, *rows: Row) -> list[Row]:
        self.rows += rows
        return [*rows]

    def message(self, text: str) -> None:
        self.messages.append(text)

    def running(self, *_: object) -> None:
        pass

    def finished(self, row: Row) -> None:
        self.shown.append(row.job)


def collector_for(view: ClusterView, **fields: Any) -> tuple[Collector, Recorder]:
    """Return a collector, and what takes down the rows and messages that it gives."""
    recorder = Recorder()
    jobs = [make_job(learning_rate=rate) for rate in (0.01, 0.03)]
    manifest = manifest_of(sweep_of(seeds=(0,), learning_rates=(0.01,))).model_copy(update=fields)
    folder = SweepFolder(Path("runs"), "a")
    sweep = Membership(view, folder, manifest, {job.key: job for job in jobs}, recorder, Interruption())
    return Collector(sweep, recorder.accept_weights, recorder.accept, Keeper(folder, "all")), recorder


def jobs_by_key(count: int, **fields: Any) -> dict[str, Job]:
    return {job.key: job for job in (make_job(seed=seed, **fields) for seed in range(count))}


@pytest.fixture
def view(cluster: Cluster) -> ClusterView:
    return ClusterView(cluster.settings)


def queued(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the headers of the messages in the queue, the next one first."""
    messages = cluster.server.client().lrange("seedsweep", 0, -1)
    return [json.loads(message)["headers"] for message in reversed(messages)]


def test_jobs_are_queued_once_each_readably_and_without_subscriptions(cluster: Cluster, view: ClusterView) -> None:
    jobs = list(jobs_by_key(300).values())
    view.queue.submit(jobs)
    # In their order: the first job is the first to be taken.
    assert [headers["id"] for headers in queued(cluster)] == [job.key for job in jobs]
    assert queued(cluster)[0]["kwargsrepr"] == "seed=0 learning_rate=0.03 epochs=2 limit=500"
    assert cluster.server.client().pubsub_channels() == []


def test_a_cancelled_job_that_a_worker_has_taken_since_its_heartbeat_is_waited_for(cluster: Cluster) -> None:
    slow = cluster.with_settings(lease_seconds=60.0)
    job, manifest = make_job(), manifest_of(sweep_of(seeds=(0,), learning_rates=(0.01,)))
    view = ClusterView(slow.settings)
    sweep = Membership(view, SweepFolder(Path("runs"), "a"), manifest, {}, Recorder(), Interruption())
    view.registry.cancel(manifest, why := f"the sweep {manifest.name} was cancelled")
    # It takes nothing more, and counts as online until its lease ends; it may be ready before its first heartbeat.
    worker = slow.start_worker()
    wait_for(view.roster.online, "a heartbeat", report=worker.text)
    worker.kill()
    client, message = cluster.server.client(), {"headers": {"id": job.key}}
    assert sweep.given_up([job.key]) == {job.key: why}
    client.hset("seedsweep:unacked", "tag", json.dumps([message, "", "seedsweep"]))
    assert sweep.given_up([job.key]) == {}
    # In the queue again, because its worker is gone, it would wait until another one is free.
    client.lpush("seedsweep", json.dumps(message))
    assert sweep.given_up([job.key]) == {job.key: why}


def twice(command: Callable[[], T]) -> T:
    """Run a command again, as the retry does whose first answer was lost."""
    command()
    return command()


def test_a_withdrawal_whose_answers_are_lost_names_what_it_withdrew(cluster: Cluster, view: ClusterView) -> None:
    # Given queued jobs of two sweeps, in more messages than one command reads, and something else
    jobs = list(jobs_by_key(400).values())
    cluster.server.client().rpush("seedsweep", "no message")
    view.queue.submit(jobs)
    ours = {job.key for job in jobs[::2]}
    # When those of one are withdrawn, and every command is repeated
    client = WaitingRedis(cluster.server.client(), twice)
    withdrawn = Queue(view.app, client, call).withdraw(ours)
    # Then it says so, the others stay as they were, and it leaves nothing behind
    assert withdrawn == ours
    assert cluster.server.client().rpop("seedsweep") == b"no message"
    assert [headers["id"] for headers in queued(cluster)] == [job.key for job in jobs[1::2]]
    assert cluster.server.client().keys("seedsweep*") == [b"seedsweep"]


def test_every_result_is_accepted_once_with_its_weights(cluster: Cluster, view: ClusterView) -> None:
    # Given one job that the cluster has finished, one whose weights it has dropped since, and one that is queued
    jobs = jobs_by_key(4)
    finished, dropped, queued_already, _ = jobs.values()
    worker = cluster.start_worker()
    for job in (finished, dropped):
        cluster.submit(job)
    lost = cluster.result(dropped.key).weights_sha256
    cluster.lose_weights([lost])
    worker.kill()
    cluster.submit(queued_already)
    # When a sweep asks for them, and one more
    collector, recorder = collector_for(view)
    waiting = collector.begin(jobs, reuse=True, reused_from="elsewhere")
    cluster.start_worker(concurrency=2)
    list(collector.collect(waiting))
    # Then it has each once: one from elsewhere, and one again, which it knows that it trained
    assert sorted(row.job for row in recorder.rows) == sorted(jobs)
    assert [row.job for row in recorder.rows if row.reused_from == "elsewhere"] == [finished.key]
    assert all(recorder.blobs)
    assert [row.weights_sha256 for row in recorder.rows if row.job == dropped.key] == [lost]
    assert any("is trained again" in message for message in recorder.messages)


@pytest.mark.parametrize("embedded", [False, True])
def test_who_follows_a_sweep_takes_weights_from_an_embedded_cluster_only(cluster: Cluster, embedded: bool) -> None:
    jobs = jobs_by_key(1)
    cluster.start_worker()
    collector, recorder = collector_for(ClusterView(cluster.settings, embedded=embedded), followed=True)
    waiting = collector.begin(jobs, reuse=False, reused_from=None)
    assert (list(collector.collect(waiting)), len(recorder.blobs)) == ([*jobs], 1)
    assert len(cluster.server.client().keys("seedsweep:weights:*")) == int(not embedded)


def test_jobs_that_end_together_are_kept_though_the_next_is_not_asked_for_or_not_had(
    cluster: Cluster, view: ClusterView, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given three jobs that have failed
    jobs = jobs_by_key(3)
    for key in jobs:
        cluster.app.backend.store_result(key, ValueError("why"), "FAILURE")
    # When they are no longer asked for after the first
    collector, recorder = collector_for(view)
    keys = collector.collect(jobs)
    assert next(keys) in jobs
    keys.close()
    # Then all are kept and shown
    assert [row.job for row in recorder.rows] == recorder.shown == [*jobs]
    # And if Redis goes at the last one, those before are kept
    collector, recorder = collector_for(view)
    attempts = Mock(side_effect=[[], [], BrokerUnreachableError("it has gone")])
    monkeypatch.setattr(collector, "_attempts", attempts)
    with pytest.raises(BrokerUnreachableError):
        list(collector.collect(jobs))
    assert [row.job for row in recorder.rows] == [*jobs][:2]


def test_a_job_is_lost_only_after_two_looks_that_found_nothing(
    cluster: Cluster, view: ClusterView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalls, "LOOK_SECONDS", 0.0)

    # Given a job that is queued, one that has a result, and one of which there is nothing
    queued, gone, finished = jobs_by_key(3).values()
    keys = [queued.key, gone.key, finished.key]
    cluster.submit(queued)
    cluster.app.backend.store_result(finished.key, {}, "SUCCESS")
    monkeypatch.setattr(view.queue, "messages", looks := Mock(wraps=view.queue.messages))
    lost_jobs = LostJobs(view)

    assert wait_for(lambda: lost_jobs.lost(keys), "a lost job") == {gone.key}
    assert looks.call_count == 2
    # Whoever asks submits it again, so that the count begins anew.
    wait_for(lambda: lost_jobs.lost(keys) == set() and looks.call_count == 3, "a third look")


NO_STATES = [
    b"", b"\xff", b"[]", b"{}", b"7", b"[" * 100_000, b"1" * 5000, b'{"status": [], "result": 1}', b'"SUCCESS"',
    b'{"status": "SUCCESS"}',
    # kombu's JSON cannot read the date.
    b'{"status": "SUCCESS", "result": {"__type__": "datetime", "__value__": "yesterday"}}',
]  # fmt: skip


def test_what_is_stored_and_is_no_state_gives_way_to_a_result(cluster: Cluster, view: ClusterView) -> None:
    # Given jobs in whose places something else stands
    jobs = jobs_by_key(len(NO_STATES))
    client, backend = cluster.app.backend.client, cluster.app.backend
    for key, stored in zip(jobs, NO_STATES, strict=True):
        client.set(backend.get_key_for_task(key), stored)
    collector, recorder = collector_for(view)
    cluster.start_worker()
    # When a sweep asks for them, then they are trained as if nothing stood there
    list(collector.collect(collector.begin(jobs, reuse=True, reused_from=None)))
    assert [row.status for row in recorder.rows] == ["succeeded"] * len(jobs)
    wait_for(lambda: check(cluster.app, socket.gethostname())[0], "a healthy worker", report=cluster.logs)


def test_a_stored_result_that_cannot_be_the_jobs_is_a_failed_row(cluster: Cluster, view: ClusterView) -> None:
    # Given queued jobs whose places are then taken by something else
    jobs = jobs_by_key(5)
    collector, recorder = collector_for(view)
    waiting = collector.begin(jobs, reuse=True, reused_from=None)
    incomplete, foreign, too_long, no_text, failed = jobs
    wrong = "the stored result is invalid at"
    stored = {
        incomplete: ({"job": "x"}, f"{wrong} job: "),
        foreign: (result(jobs[too_long], 0.5, 0.5), "the stored result belongs to another job"),
        too_long: (result(jobs[too_long], 0.5, 0.5, 0.5), "the stored result belongs to another job"),
        no_text: (dict(result(jobs[no_text], 0.5, 0.5)) | {"worker": "\ud800"}, f"{wrong} worker: "),
    }
    for key, (forged, _) in stored.items():
        cluster.app.backend.store_result(key, forged, "SUCCESS")
    cluster.app.backend.store_result(failed, RuntimeError("no \ud800 text"), "FAILURE")
    # When they are collected
    list(collector.collect(waiting))
    # Then each has a row that can be written, and says what is wrong
    rows = {row.job: row for row in recorder.rows}
    assert {json.loads(row.line())["status"] for row in rows.values()} == {"failed"}
    assert len(rows) == len(recorder.rows) == len(jobs)
    for key, (_, error) in stored.items():
        assert str(rows[key].error).startswith(error)


def test_a_server_that_refuses_ends_the_wait(shared_cluster: Cluster) -> None:
    shared_cluster.server.client().config_set("maxmemory", "1")
    with pytest.raises(ClusterFullError, match=r"is full: .* its maxmemory is 0 kB"):
        ClusterView(shared_cluster.settings).queue.submit([make_job()])


def test_what_is_known_of_a_job_whose_message_was_lost_stays(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "LOOK_SECONDS", 0.05)
    # Given queued jobs, of which one is cancelled, and one has taken a worker down; and all their messages are lost: a
    # worker was killed in the instant between taking them and putting them on record
    kept, cancelled, tried = jobs = [make_job(seed=seed) for seed in range(3)]
    collector, recorder = collector_for(ClusterView(cluster.settings))
    waiting = collector.begin({job.key: job for job in jobs}, reuse=True, reused_from=None)
    cluster.store().cancel([cancelled.key], "by a test")
    cluster.app.tasks[TRAIN].attempts().start(tried.key, "w0@gone")
    cluster.server.client().delete("seedsweep")
    # When they are submitted again
    cluster.start_worker()
    list(collector.collect(waiting))
    # Then the cancelled one is not trained, and what the other one did to workers still counts
    rows = {row.job: (row.status, row.attempts) for row in recorder.rows}
    assert (rows[kept.key], rows[tried.key]) == (("succeeded", 1), ("succeeded", 2))
    assert (rows[cancelled.key][0], cluster.attempts(cancelled.key)) == ("cancelled", [])
    assert cluster.causes(tried.key) == ["first run", "worker lost"]


def test_a_result_that_arrives_while_a_sweep_is_resumed_is_taken(
    cluster: Cluster, view: ClusterView, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job that is in training when a sweep is resumed, and ends between its two looks at the cluster
    job = make_job(epochs=6)
    cluster.start_worker(*SLOW_EPOCHS)
    cluster.begin(job)
    looks = []

    def ending_after_the_first(look: Callable[..., object]) -> Callable[..., object]:
        def looking(*arguments: object) -> object:
            found = look(*arguments)
            if not looks:
                cluster.result(job.key)
                cluster.wait_until_acknowledged()
            looks.append(found)
            return found

        return looking

    for owner, name in ((view.results, "states"), (view.queue, "messages")):
        monkeypatch.setattr(owner, name, ending_after_the_first(getattr(owner, name)))
    collector, recorder = collector_for(view)
    # When it begins
    list(collector.collect(collector.begin({job.key: job}, reuse=True, reused_from=None)))
    # Then the job is not trained a second time
    assert [row.attempts for row in recorder.rows] == [1]
    assert cluster.workers[0].text().count(f"[{job.key}] succeeded") == 1


def test_each_stored_state_is_parsed_once(shared_cluster: Cluster) -> None:
    jobs = [make_job(seed=seed) for seed in range(9)]
    done, check, wrong, other, failed, crashed, revoked, started, back = keys = [job.key for job in jobs]
    check = keys[1] = task_id(jobs[1], "verify-1")
    first, second = (result(job, 0.5) for job in jobs[:2])
    store = shared_cluster.app.backend.store_result
    store(done, first.model_dump(mode="json"), "SUCCESS")
    store(check, second.model_dump(mode="json"), "SUCCESS")
    store(wrong, {"job": wrong}, "SUCCESS")
    store(other, first.model_dump(mode="json"), "SUCCESS")
    store(failed, NoSuchWorkerError("no worker has it"), "FAILURE")
    store(crashed, ValueError("no"), "FAILURE")
    store(revoked, TaskRevokedError("not wanted"), "REVOKED")
    store(started, {"pid": 1}, "STARTED")
    store(back, None, "GIVEN_BACK")
    # The report of a job that is over its time limit, before its process is killed
    store(crashed, {}, "PROGRESS")

    states = dict(ClusterView(shared_cluster.settings).results.states([*keys, make_job(seed=100).key]))

    assert states == {
        done: Finished(first),
        check: Finished(second),
        wrong: Failed("the stored result is invalid at status: Field required"),
        other: Failed("the stored result belongs to another job"),
        failed: Failed("no worker has it"),
        crashed: Failed("ValueError: no"),
        revoked: Cancelled("not wanted"),
        # Its report is invalid, and it runs all the same.
        started: Running(None),
    }
