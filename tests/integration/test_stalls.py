"""A sweep that stands still: how often it is looked at, and what its user is told."""

import pytest

from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.running import stalls, waiting
from orchestrator.running.listener import SILENT
from orchestrator.running.stalls import LONGEST_LOOK_SECONDS, REMINDER_SECONDS, StallWatch
from orchestrator.running.underway import share_of_time
from orchestrator.running.waiting import LONGEST_PAUSE, SHORTEST_PAUSE, Waiting
from tests.support.cluster import Cluster, make_job
from tests.support.presences import presence


class Clock:
    """Stands for the module `time`, and goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (stalls, waiting):
        monkeypatch.setattr(module, "time", made)
    return made


@pytest.mark.parametrize("taken", [0.01, 0.1, 0.4, 1.0])
def test_polls_and_looks_take_a_tenth_of_the_time_each(
    shared_cluster: Cluster, clock: Clock, monkeypatch: pytest.MonkeyPatch, taken: float
) -> None:
    pause = share_of_time(taken, 3.0, LONGEST_LOOK_SECONDS)
    assert taken / (taken + pause) <= 0.1 + 1e-9
    # A poll that an outage made long is not paid for by an hour of silence.
    assert share_of_time(300.0, SHORTEST_PAUSE, LONGEST_PAUSE) == LONGEST_PAUSE

    # Given jobs of which to read the states takes a while
    view, answers = ClusterView(shared_cluster.settings), [{}] * 10
    monkeypatch.setattr(stalls, "LOOK_SECONDS", 1000.0)

    def states(*_: object) -> dict[str, object]:
        answer = answers.pop()
        clock.sleep(taken)
        return answer

    monkeypatch.setattr(view.results, "states", states)
    job = make_job()
    started = clock.monotonic()
    # When a sweep waits for them, then to read them takes a tenth of the time
    with pytest.raises(IndexError, match="pop from empty list"):
        next(iter(Waiting(view, {job.key: job}, SILENT, view.queue.submit)))
    assert 10 * taken / (clock.monotonic() - started) <= 0.1 + 1e-9


@pytest.mark.parametrize(
    ("silent_for", "sentence"),
    [
        (4.0, "No worker at {} takes jobs: w1@dead has sent no heartbeat for "),
        (10.0, "No worker at {} takes jobs: w1@dead has sent no heartbeat for "),
        (100.0, "No worker is online at {} yet: waiting for one"),
    ],
    ids=["just killed", "some leases ago", "forgotten"],
)
def test_a_sweep_whose_only_worker_was_killed_is_told_so_within_seconds(
    shared_cluster: Cluster, clock: Clock, silent_for: float, sentence: str
) -> None:
    # Given a worker whose last heartbeat was some time ago
    view = ClusterView(shared_cluster.settings)
    view.roster.report(presence(silent_for))
    told: dict[float, str] = {}
    started = clock.monotonic()
    watch = StallWatch(view, lambda text: told.update({clock.monotonic() - started: text}))
    # When nothing happens for more than a minute
    while clock.monotonic() - started < REMINDER_SECONDS + 10:
        watch.look(ended=False, running={})
        clock.sleep(0.5)
    # Then the user is told soon, and again after a minute
    first, again = told
    assert 3 < first < 8
    assert REMINDER_SECONDS <= again - first < REMINDER_SECONDS + 3
    assert all(text.startswith(sentence.format(view.address)) for text in told.values())


def test_one_worker_of_two_that_holds_the_last_jobs_is_named(shared_cluster: Cluster, clock: Clock) -> None:
    # Given two workers, of which one is silent in the middle of a job, and a sweep that waits for this job
    patient, job = shared_cluster.with_settings(lease_seconds=30.0), make_job()
    view = ClusterView(patient.settings)
    view.roster.report(presence(10.0, running={job.key: 0.0}))
    view.roster.report(presence(name="w2@test"))
    told: list[str] = []
    watch = StallWatch(view, told.append)
    # When nothing happens, then it is named.
    while not told and clock.monotonic() < 1010.0:
        watch.look(ended=False, running={job.key: None})
        clock.sleep(0.5)
    assert told[0].startswith(f"1 of 2 workers at {view.address} take no jobs: w1@dead has sent no heartbeat for ")
