"""A sweep that stands still: how often it is looked at, and what its user is told."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.running.listener import SILENT
from orchestrator.running.stalls import LONGEST_LOOK_SECONDS, StallWatch, share_of_time
from orchestrator.running.waiting import LONGEST_PAUSE, SHORTEST_PAUSE, Waiting
from tests.support.cluster import Cluster, make_job
from tests.support.waiting import wait_for
from worker.records.presence import Presence


@pytest.mark.parametrize("taken", [0.01, 0.1, 0.4, 1.0])
def test_polls_and_looks_take_a_tenth_of_the_time_each(taken: float) -> None:
    for shortest, longest in ((SHORTEST_PAUSE, LONGEST_PAUSE), (3.0, LONGEST_LOOK_SECONDS)):
        pause = share_of_time(taken, shortest, longest)
        assert taken / (taken + pause) <= 0.1 + 1e-9
    # A poll that an outage made long is not paid for by an hour of silence.
    assert share_of_time(300.0, SHORTEST_PAUSE, LONGEST_PAUSE) == LONGEST_PAUSE


def test_polling_ten_thousand_jobs_takes_a_tenth_of_the_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    view = ClusterView(cluster.settings)
    ask, spent = view.results.states, 0.0

    class EnoughError(Exception):
        pass

    def timed(*arguments: Any) -> object:
        nonlocal spent
        before = time.monotonic()
        if before - started > 5.0:
            raise EnoughError
        try:
            return ask(*arguments)
        finally:
            spent += time.monotonic() - before

    monkeypatch.setattr(view.results, "states", timed)
    tasks = {job.key: job for job in (make_job(seed=seed) for seed in range(10_000))}
    waiting = Waiting(view, tasks, SILENT, look_seconds=1000.0)
    started = time.monotonic()
    with pytest.raises(EnoughError):
        next(iter(waiting))
    # The last poll is followed by no pause.
    assert spent / (time.monotonic() - started) < 0.15


def presence(beat: float) -> Presence:
    return Presence(
        name="w1@dead", host="dead", pid=1, started=beat - 50, beat=beat, looped=beat, kept_up=beat, running={},
        concurrency=1, blocking=False, consuming=True, broken=None, dataset=None, interval=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("silent_for", "sentence"),
    [
        (0.0, "No worker at {} takes jobs: w1@dead has sent no heartbeat for "),
        (10.0, "No worker at {} takes jobs: w1@dead has sent no heartbeat for "),
        (100.0, "No worker is online at {} yet: waiting for one"),
    ],
)
def test_a_sweep_whose_only_worker_was_killed_is_told_so_within_seconds(
    cluster: Cluster, silent_for: float, sentence: str
) -> None:
    # Given a worker whose last heartbeat was just now, some leases ago, or so long ago that it is forgotten
    view = ClusterView(cluster.settings)
    view.roster.report(presence(time.time() - silent_for))
    told: list[str] = []
    watch = StallWatch(view, told.append)
    started = time.monotonic()

    def look() -> bool:
        watch.look(ended=False, running={})
        return bool(told)

    # When nothing happens, then the user is told soon
    wait_for(look, "a message", timeout=15)
    assert time.monotonic() - started < 8
    assert told[0].startswith(sentence.format(view.address))
    # and not again at once.
    time.sleep(4)
    look()
    assert len(told) == 1
