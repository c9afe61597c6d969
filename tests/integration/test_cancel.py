"""`orchestrator cancel`: queued jobs end at once, running ones at their next epoch, and other sweeps' jobs go on."""

import threading
from pathlib import Path

import pytest

from orchestrator.cli.main import run
from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.cluster.registry import Registry
from orchestrator.commands import watch as cancel_command
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.cancel import reason
from orchestrator.sweeps.manifest import Manifest
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker.messages import TRAIN
from worker.records.store import key

#: Jobs that would take hours.
ENDLESS = small(epochs="100000")


def statuses(command_line: CommandLine, name: str) -> list[str]:
    return [row["status"] for row in command_line.rows(name)]


def test_queued_jobs_end_at_once_although_no_worker_is_online(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a sweep of four jobs that waits for a worker
    address = cluster.server.url
    process = command_line.start("sweep", *SMALL, "--name", "a", "--broker", address)
    cluster.wait_until_queued(4)
    # When it is cancelled
    done = command_line.run("cancel", "a", "--broker", address)
    # Then it ends with a row for each, and nothing is left in the queue,
    assert done.stdout.startswith("The sweep a is cancelled: 4 queued jobs have ended\nTo train the cancelled jobs: ")
    told = command_line.end(process, 1)
    assert "jobs 4, accepted 0, attempts 0, reused 0, diverged 0, failed 0, cancelled 4" in told
    assert f"\nTo train the cancelled jobs: orchestrator sweep --resume --name a --broker {address}\n" in told
    assert statuses(command_line, "a") == ["cancelled"] * 4
    assert {row["error"] for row in command_line.rows("a")} == {"the sweep a was cancelled"}
    cluster.wait_until_queued(0)
    # and to resume it trains them.
    cluster.start_worker()
    done = command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert "accepted 4, attempts 4," in done.stdout
    assert Registry(cluster.store()).cancelled("a") is None
    cluster.wait_until_acknowledged()
    # Then there is nothing left to cancel, although the cluster does not have two of the results: they were reused, or
    # have expired. No job is said to run, and Redis holds what it held.
    roster = cluster.app.tasks[TRAIN].roster()
    wait_for(lambda: not any(worker.running for worker in roster.all()), "rest", report=cluster.logs)
    client = cluster.server.client()
    client.delete(*(f"celery-task-meta-{job}" for job in command_line.description("a")["jobs"][:2]))
    before = client.keys("seedsweep:cancelled:*"), client.hgetall("seedsweep:sweep:a")
    done = command_line.run("cancel", "a", "--broker", address)
    assert done.stdout == "Nothing of the sweep a was left to cancel: 4 jobs have ended before\n"
    assert (client.keys("seedsweep:cancelled:*"), client.hgetall("seedsweep:sweep:a")) == before


@pytest.mark.persistent
def test_whoever_cancels_is_told_when_redis_goes(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Given a Redis that goes for a moment when the command has begun
    server, find_sweep = redis_server, cancel_command._find

    def find_sweep_late(cluster: ClusterView, folder: SweepFolder) -> Manifest:
        server.stop()
        threading.Timer(1.0, server.start).start()
        return find_sweep(cluster, folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cancel_command, "_find", find_sweep_late)
    # When nobody knows the sweep, then that is said after the wait, and why it took so long before.
    assert run(["cancel", "a", "--broker", server.url]) == 2
    waits, back, answer = capfd.readouterr().err.splitlines()
    assert waits.startswith(f"{server.url} does not answer (")
    assert back.startswith(f"{server.url} is back, after ")
    assert answer.startswith("orchestrator: There is no sweep named a at ")


def test_a_running_job_ends_at_its_next_epoch(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a sweep with a job in training and three that wait
    address = cluster.server.url
    process = command_line.start("sweep", *ENDLESS, "--name", "a", **cluster.environment)
    cluster.start_worker(*SLOW_EPOCHS)
    jobs = command_line.description("a")["jobs"]
    cluster.wait_for_state(jobs[0], "PROGRESS")
    # When it is cancelled
    told = command_line.asked("cancel", "a", "--broker", address)
    # Then all four end,
    assert told == {"name": "a", "withdrawn": 3, "ending": 1, "ended": 0, "wanted": []}
    assert "cancelled 4" in command_line.end(process, 1)
    assert statuses(command_line, "a") == ["cancelled"] * 4
    assert [row["attempts"] for row in command_line.rows("a")] == [1, 0, 0, 0]
    assert str(cluster.wait_for_state(jobs[0], "REVOKED")["result"]) == "the sweep a was cancelled"
    # and the worker is free for others.
    cluster.wait_until_acknowledged()
    assert cluster.ends(jobs[0]) == ["cancelled"]
    assert not cluster.server.client().exists(*(key("checkpoint", job) for job in jobs))
    assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"


def test_finished_jobs_keep_their_rows(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a sweep of which one job has finished, whose orchestrator is killed, and whose worker has gone
    worker = cluster.start_worker(*SLOW_EPOCHS)
    command_line.kill(command_line.begin(*small(epochs="8"), **cluster.environment))
    worker.kill()
    # When it is cancelled while nobody collects, then who looks later finds a row for every job.
    command_line.run("cancel", "a", "--broker", cluster.server.url)
    watched = command_line.run("watch", "a", status=1, **cluster.environment)
    found = statuses(command_line, "a")
    assert len(found) == 4
    assert found.count("succeeded") >= 1
    assert found.count("cancelled") == 4 - found.count("succeeded")
    assert f"cancelled {found.count('cancelled')}" in watched.stdout
    # These rows are counted, where the folder is and where only the cluster knows the sweep.
    for words in ((), ("--output", "elsewhere", "--broker", cluster.server.url)):
        assert command_line.asked("cancel", "a", *words)["ended"] == found.count("succeeded")


def test_jobs_that_another_sweep_waits_for_go_on(command_line: CommandLine, cluster: Cluster) -> None:
    # Given two sweeps that share two of their jobs, and no worker
    address = cluster.server.url
    common = (*SMALL[2:], "--broker", address)
    one = command_line.start("sweep", "--seeds", "0-1", *common, "--name", "a")
    cluster.wait_until_queued(4)
    other = command_line.start("sweep", "--seeds", "1-2", *common, "--name", "b")
    cluster.wait_until_queued(6)
    # When one is cancelled
    done = command_line.run("cancel", "a", "--broker", address)
    # Then it ends, and says which of its jobs go on and for whom;
    assert "2 queued jobs have ended" in done.stdout
    assert "2 jobs go on, because other sweeps wait for them: b" in done.stdout
    assert "cancelled 4" in command_line.end(one, 1)
    words = [row["error"] for row in command_line.rows("a")]
    assert (
        words == ["the sweep a was cancelled"] * 2 + ["the sweep a was cancelled; the job goes on for the sweep b"] * 2
    )
    # the other one gets all its results.
    cluster.start_worker()
    assert "jobs 4, accepted 4, attempts 4," in command_line.end(other)


def test_a_sweep_trains_again_what_another_ones_cancellation_ended_and_nothing_that_was_cancelled_otherwise(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep that waits for jobs which a sweep is just being cancelled for: it looked before this one was there
    process = command_line.start("sweep", *SMALL, "--name", "b", **cluster.environment)
    cluster.wait_until_queued(4)
    view = ClusterView(cluster.settings)
    jobs = command_line.description("b")["jobs"]
    view.store.cancel(jobs[:2], reason("a"))
    view.results.revoke(view.queue.withdraw({jobs[0]}), reason("a"))
    # and for one that was revoked through Celery, as Flower's button does: its row says so at once
    cluster.app.backend.mark_as_revoked(jobs[3], "terminated")
    command_line.wait_for_rows("b", 1, process)
    assert statuses(command_line, "b") == ["cancelled"]
    # When a worker comes, then it trains all but that one
    cluster.start_worker()
    output = command_line.end(process, 1)
    assert "is trained again: the sweep a was cancelled" in output
    assert "jobs 4, accepted 3, attempts 3, reused 0, diverged 0, failed 0, cancelled 1" in output


def test_a_sweep_that_a_cluster_never_had_has_nothing_to_cancel_there(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep that an embedded cluster trained
    command_line.finished("a", *SMALL)
    # When it is cancelled on another cluster, then that one is left as it was.
    counts = command_line.asked("cancel", "a", "--broker", cluster.server.url)
    assert (counts["withdrawn"], counts["ending"], counts["wanted"]) == (0, 0, [])
    assert not list(cluster.server.client().scan_iter("seedsweep:*"))
