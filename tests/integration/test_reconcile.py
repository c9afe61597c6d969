"""A lost message is replaced, and nothing else that is known about its job is lost with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.running import stalls
from tests.integration.test_collect import Recorder, collector_for
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from worker.messages import TRAIN


def test_what_is_known_of_a_job_whose_message_was_lost_stays(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "LOOK_SECONDS", 0.05)
    # Given queued jobs, of which one is cancelled, and one has taken a worker down; and all their messages are lost: a
    # worker was killed in the instant between taking them and putting them on record
    kept, cancelled, tried = jobs = [make_job(seed=seed) for seed in range(3)]
    view, recorder = ClusterView(cluster.settings), Recorder()
    collector = collector_for(view, recorder)
    waiting = collector.begin({job.key: job for job in jobs}, reuse=True, reused_from=None)
    cluster.store().cancel([cancelled.key], "by a test")
    cluster.app.tasks[TRAIN].attempts().start(tried.key, "w0@gone")
    cluster.server.client().delete("seedsweep")
    # When they are submitted again
    cluster.start_worker()
    collector.collect(waiting)
    # Then the cancelled one is not trained, and what the other one did to workers still counts
    rows = {row.job: (row.status, row.attempts) for row in recorder.rows}
    assert (rows[kept.key], rows[tried.key]) == (("succeeded", 1), ("succeeded", 2))
    assert rows[cancelled.key][0] == "cancelled"
    assert cluster.causes(tried.key) == ["first run", "worker lost"]


def test_a_result_that_arrives_while_a_sweep_is_resumed_is_taken(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job that is in training when a sweep is resumed, and ends between its two looks at the cluster
    job = make_job(epochs=6)
    cluster.start_worker(*SLOW_EPOCHS)
    cluster.begin(job)
    view, recorder = ClusterView(cluster.settings), Recorder()
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
    collector = collector_for(view, recorder)
    # When it begins
    collector.collect(collector.begin({job.key: job}, reuse=True, reused_from=None))
    # Then the job is not trained a second time
    assert [row.attempts for row in recorder.rows] == [1]
    assert cluster.workers[0].text().count(f"[{job.key}] succeeded") == 1
