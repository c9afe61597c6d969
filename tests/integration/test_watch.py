"""`orchestrator watch`: a sweep on a cluster can be followed, and finished, from anywhere."""

import os
import pwd

from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.folder.rows import lost_row
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.sweeps import manifest_of, sweep_of
from worker.records.store import key

#: Four jobs that take half a second each with `SLOW_EPOCHS`.
SLOW = small(epochs="5")


def one_row_a_job(command_line: CommandLine, name: str, count: int = 4) -> bool:
    jobs = [row["job"] for row in command_line.rows(name)]
    return len(jobs) == len(set(jobs)) == count


def test_a_sweep_whose_orchestrator_was_killed_is_finished_from_another_machine(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep on a cluster, whose orchestrator is killed when it has one row of four
    address = cluster.server.url
    cluster.start_worker(*SLOW_EPOCHS)
    command_line.kill(command_line.begin(*SLOW, "--broker", address))

    # When another machine, which has nothing of it, watches the sweep
    watched = command_line.run("watch", "a", "--output", "elsewhere", CELERY_BROKER_URL=address)

    # Then that has a row for every job and every weights file,
    assert f"Watching a on the cluster at {address}: 4 jobs" in watched.stdout
    assert "jobs 4, accepted 4, attempts 4," in watched.stdout
    assert len(command_line.rows("a", "elsewhere")) == 4
    assert len(list((command_line.sweep("a", "elsewhere") / "weights").iterdir())) == 4
    # and the first machine has exactly the same after it has resumed the sweep, with no job trained twice.
    resumed = command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert "accepted 4, attempts 4, reused 0" in resumed.stdout
    assert one_row_a_job(command_line, "a")
    assert command_line.board("a") == command_line.board("a", "elsewhere")
    assert cluster.workers[0].text().count("succeeded in") == 4


def test_watchers_beside_the_orchestrator_and_each_other_are_harmless(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep that waits for a worker, two watchers that share its folder, and one elsewhere
    address = cluster.server.url
    processes = [command_line.start("sweep", *SLOW, "--name", "a", "--broker", address)]
    cluster.wait_until_queued(4)
    # (and in the folder a row that is none of the sweep's)
    (command_line.sweep("a") / "results.jsonl").write_text(lost_row(make_job(seed=9), "failed", "it broke").line())
    watch = ("watch", "a", "--broker", address)
    processes += [command_line.start(*watch, *more) for more in ((), (), ("--output", "elsewhere"))]

    # When a worker comes
    cluster.start_worker(*SLOW_EPOCHS)

    # Then all of them end well and show the same accounting,
    outputs = [command_line.end(process) for process in processes]
    assert all("jobs 4, accepted 4, attempts 4, reused 0" in output for output in outputs)
    assert all("looking on" in output and "[4/4] seed " in output for output in outputs[1:3])
    # and every job was trained once and has one row.
    assert one_row_a_job(command_line, "a")
    assert cluster.workers[0].text().count("succeeded in") == 4
    assert command_line.board("a") == command_line.board("a", "elsewhere")


def test_jobs_that_a_killed_orchestrator_had_not_submitted_are_submitted(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep that is registered, and whose orchestrator was killed before it submitted anything
    specification = sweep_of(seeds=(0, 1), learning_rates=(0.03,), epochs=2, limit=500)
    ClusterView(cluster.settings).registry.register(manifest_of(specification))
    cluster.start_worker()
    # When somebody watches it, then it ends with all its rows.
    done = command_line.run("watch", "a", "--broker", cluster.server.url)
    assert "Redis lost 2 jobs: submitted again" in done.stdout
    assert "accepted 2" in done.stdout
    assert one_row_a_job(command_line, "a", 2)


def test_a_watched_failure_stays_one_and_is_not_tried_again(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a finished sweep with a job that failed
    address = cluster.server.url
    process = command_line.start("sweep", *SMALL, "--name", "a", "--broker", address)
    cluster.wait_until_queued(4)
    failed = ClusterView(cluster.settings).registry.manifest("a")
    assert failed is not None
    cluster.app.backend.store_result(failed.jobs[0], ValueError("it broke"), "FAILURE")
    command_line.wait_for_rows("a", 1, process)
    command_line.kill(process)
    client = cluster.server.client()
    client.lrem("seedsweep", 1, client.lindex("seedsweep", -1))
    cluster.start_worker()
    # When it is watched, then the failure is in its accounting and in the exit status.
    done = command_line.run("watch", "a", "--broker", address, status=1)
    assert "jobs 4, accepted 3, attempts 3, reused 0, diverged 0, failed 1, cancelled 0" in done.stdout
    assert one_row_a_job(command_line, "a")


def test_a_name_that_another_sweep_has_on_the_cluster_is_refused(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a folder with a sweep, and another sweep of that name on the cluster, which is forgotten with its results
    address, client = cluster.server.url, cluster.server.client()
    command_line.finished("a", *small(epochs="3"))
    (command_line.folder / "runs").rename(command_line.folder / "third")
    cluster.start_worker()
    expires = {"SEEDSWEEP_RESULT_EXPIRES": "1000"}
    command_line.run("sweep", *SMALL, "--name", "a", **cluster.environment | expires)
    assert all(900 < client.ttl(name) <= 1000 for name in (key("sweep", "a"), "seedsweep:sweeps"))
    # When another machine begins another sweep of that name, then nothing is begun.
    other = ("sweep", *small(epochs="3"), "--name", "a", "--output", "elsewhere", "--broker", address)
    done = command_line.run(*other, status=2)
    taken = "orchestrator: A sweep named a with other jobs is on the cluster: choose another --name for a new one"
    assert done.stderr == f"{taken}, and another --output to follow that one\n"
    assert not (command_line.folder / "elsewhere").exists()
    # The same sweep may go on there: its results are taken.
    done = command_line.run("sweep", *SMALL, "--name", "a", "--output", "elsewhere", "--broker", address)
    assert "attempts 0, reused 4" in done.stdout
    # A folder here that is another sweep's is not written to.
    done = command_line.run("watch", "a", "--output", "third", "--broker", address, status=2)
    assert done.stderr.startswith(taken)


def test_a_sweep_in_a_renamed_folder_is_one_and_the_same_on_the_cluster(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep on the cluster whose folder somebody renames
    address = cluster.server.url
    cluster.start_worker()
    command_line.run("sweep", *SMALL, "--name", "a", "--broker", address)
    command_line.sweep("a").rename(command_line.sweep("b"))
    client = cluster.server.client()
    # When it goes on, is watched or cancelled under that name, then what is noted is noted of the sweep that began.
    for arguments in (("sweep", "--resume", "--name", "b"), ("watch", "b")):
        client.hdel(key("sweep", "a"), "finished")
        command_line.run(*arguments, "--broker", address)
        assert client.hget(key("sweep", "a"), "finished") is not None
    client.hdel(key("sweep", "a"), "finished")
    client.delete(f"celery-task-meta-{command_line.rows('b')[0]['job']}")
    command_line.run("cancel", "b", "--broker", address, USER="", LOGNAME="")
    by = f"the sweep a was cancelled by {pwd.getpwuid(os.getuid()).pw_name} on "
    assert client.hget(key("sweep", "a"), "cancelled").decode().startswith(by)
    assert client.keys("seedsweep:sweep:*") == [key("sweep", "a").encode()]
