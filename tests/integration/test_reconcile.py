"""A lost message is replaced, and nothing else that is known about its job is lost with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.cluster.cluster import Cluster as ClusterView
from tests.integration.test_collect import Recorder, collector_for
from tests.support.cluster import Cluster, make_job
from tests.support.waiting import wait_for
from worker.messages import TRAIN


def test_a_cancelled_job_whose_message_was_lost_stays_cancelled(cluster: Cluster) -> None:
    # Given two queued jobs, of which one is cancelled, and both of whose messages are lost: a worker was killed in the
    # instant between taking them and putting them on record
    kept, cancelled = make_job(seed=0), make_job(seed=1)
    view, recorder = ClusterView(cluster.settings), Recorder()
    collector = collector_for(view, recorder, look_seconds=0.05)
    waiting = collector.begin({job.key: job for job in (kept, cancelled)}, reuse=True, reused_from=None)
    cluster.store().cancel([cancelled.key], "by a test")
    cluster.server.client().delete("seedsweep")
    # When they are submitted again
    cluster.start_worker()
    collector.collect(waiting)
    # Then the one is trained, and the other is not
    assert {row.job: row.status for row in recorder.rows} == {kept.key: "succeeded", cancelled.key: "cancelled"}


def test_attempts_at_a_job_whose_message_was_lost_are_remembered(cluster: Cluster) -> None:
    # Given a job that has taken a worker down, and whose message is lost
    job = make_job()
    view, recorder = ClusterView(cluster.settings), Recorder()
    collector = collector_for(view, recorder, look_seconds=0.05)
    waiting = collector.begin({job.key: job}, reuse=True, reused_from=None)
    attempts = cluster.app.tasks[TRAIN].attempts()
    attempts.start(job.key, "w0@gone")
    cluster.server.client().delete("seedsweep")
    # When it is submitted again
    cluster.start_worker()
    collector.collect(waiting)
    # Then what it did to workers still counts
    assert recorder.rows[0].attempts == 2
    assert [attempt.cause for attempt in attempts.of(job.key)] == ["first run", "worker lost"]


def test_a_result_that_arrives_while_a_sweep_is_resumed_is_taken(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job that is in training when a sweep is resumed, and ends between its two looks at the cluster
    job = make_job(epochs=300)
    cluster.start_worker()
    cluster.submit(job)
    cluster.wait_for_state(job.key, "PROGRESS")
    view, recorder = ClusterView(cluster.settings), Recorder()
    looks = []

    def ending_after_the_first(look: Callable[..., object]) -> Callable[..., object]:
        def looking(*arguments: object) -> object:
            found = look(*arguments)
            if not looks:
                cluster.result(job.key)
                wait_for(lambda: not cluster.server.client().hlen("seedsweep:unacked"), "an acknowledged message")
            looks.append(found)
            return found

        return looking

    for owner, name in ((view.results, "states"), (view.queue, "messages")):
        monkeypatch.setattr(owner, name, ending_after_the_first(getattr(owner, name)))
    collector = collector_for(view, recorder)
    # When it begins
    collector.collect(collector.begin({job.key: job}, reuse=True, reused_from=None))
    # Then the job is not trained a second time
    assert [row.attempts for row in recorder.rows] == [1]
    assert cluster.workers[0].text().count(f"[{job.key}] succeeded") == 1
