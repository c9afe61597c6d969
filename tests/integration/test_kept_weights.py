"""Weights are a cache, in Redis and in the folder: rows count without them, and they can be had again."""

import pytest

import seedsweep
from nn.files import digest
from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.running import collect
from tests.support.cluster import Cluster, make_job
from tests.support.command_line import SMALL, CommandLine
from tests.support.sweep_folders import result
from worker.redis.bounded import CHUNK

#: Redis keeps no artifact for later sweeps.
NONE_LEFT = {"SEEDSWEEP_ARTIFACT_BYTES": "0"}


def files(line: CommandLine, name: str, output: str = "runs") -> set[str]:
    return {path.stem for path in (line.sweep(name, output) / "weights").iterdir()}


def left(cluster: Cluster) -> int:
    """Return how many artifacts are in Redis."""
    return len(cluster.server.client().keys("seedsweep:weights:*"))


def test_a_sweep_that_keeps_the_best_is_complete_without_the_others(
    command_line: CommandLine, cluster: Cluster
) -> None:
    cluster.start_worker()
    broker = ("--broker", cluster.server.url)
    # When a sweep keeps the best job of each configuration
    command_line.run("sweep", *SMALL, "--name", "a", "--keep-weights", "best:1", *broker, **NONE_LEFT)
    # Then the folder has these, and Redis none
    rows = command_line.rows("a")
    by_rate = [[row for row in rows if row["options"]["learning_rate"] == rate] for rate in (0.01, 0.03)]
    ranked = (max(each, key=lambda row: (row["validation_score"][-1], -row["seed"])) for each in by_rate)
    best = {row["weights_sha256"] for row in ranked}
    assert files(command_line, "a") == best
    assert left(cluster) == 0
    # And nothing is trained again: by a resumed sweep, by one that grows, or by one that reuses its rows
    assert "attempts 4," in command_line.run("sweep", "--resume", "--name", "a", *broker, **NONE_LEFT).stdout
    assert "attempts 6," in command_line.run("extend", "a", "--seeds", "2", *broker, **NONE_LEFT).stdout
    assert len(files(command_line, "a")) == 2
    other = command_line.run("sweep", *SMALL, "--name", "b", "--keep-weights", "none", "--reuse-from", "a", *broker)
    assert "attempts 0, reused 4" in other.stdout
    assert files(command_line, "b") == set()
    # And a verification finds no difference, while a command that needs weights names the one that has them again
    command_line.run("verify", "a", "--all", *broker)
    bare = next(row for row in command_line.rows("a") if row["weights_sha256"] not in files(command_line, "a"))
    refused = command_line.run("show", "a", bare["job"][:12], status=2)
    assert f"orchestrator weights runs/a {bare['job'][:12]} trains the job again" in refused.stderr
    told = [command_line.run("weights", "a", bare["job"][:12]) for _ in range(2)]
    assert ["training the job again" in each.stderr for each in told] == [True, False]
    assert digest((command_line.folder / told[1].stdout.strip()).read_bytes()) == bare["weights_sha256"]
    command_line.run("show", "a", bare["job"][:12])
    # Until another session begins.
    command_line.run("sweep", "--resume", "--name", "a", *broker)
    assert len(files(command_line, "a")) == 2
    # And a session that is to keep all has them trained again.
    command_line.run("sweep", "--resume", "--name", "a", "--keep-weights", "all", *broker)
    assert files(command_line, "a") == {row["weights_sha256"] for row in command_line.rows("a")}


def test_weights_that_differ_from_the_row_are_not_written(command_line: CommandLine) -> None:
    command_line.run("sweep", *SMALL, "--name", "a", "--keep-weights", "none")
    assert files(command_line, "a") == set()
    results = command_line.sweep("a") / "results.jsonl"
    row = command_line.rows("a")[0]
    results.write_text(results.read_text().replace(row["weights_sha256"], "ab" * 32))
    done = command_line.run("weights", "a", row["job"][:12], status=2)
    assert f"These are not the weights {'ab' * 32}: their SHA-256 is {row['weights_sha256']}" in done.stderr
    assert files(command_line, "a") == set()


def test_sweeps_that_share_jobs_leave_each_other_their_artifacts(
    cluster: Cluster, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two sweeps of the same jobs on a cluster that keeps nothing for later ones
    monkeypatch.setenv("SEEDSWEEP_ARTIFACT_BYTES", "0")
    broker, options = cluster.server.url, {"seeds": 3, "learning_rate": [0.01, 0.03], "epochs": 1, "limit": 200}
    for name in ("a", "b"):
        seedsweep.submit(name=name, output=command_line.folder / name, broker=broker, **options)
    cluster.start_worker()
    # When one is collected, and then the other
    for name, kept in (("a", 6), ("b", 0)):
        done = command_line.run("watch", name, "--output", name, "--broker", broker, **NONE_LEFT)
        # Then both have all weights, without training a job twice, and the last one leaves none in Redis
        assert "trained again" not in done.stdout
        assert len(files(command_line, name, name)) == 6
        assert left(cluster) == kept
    # And who follows a sweep whose artifacts another session has taken gets its rows.
    late = command_line.run("watch", "a", "--output", "late", "--broker", broker, **NONE_LEFT)
    assert "attempts 6, reused 0" in late.stdout
    assert "trained again" not in late.stdout
    assert "The weights of 6 jobs had left the cluster: `orchestrator weights` trains a job again for" in late.stdout
    # (then its folder is complete)
    again = command_line.run("watch", "a", "--output", "late", "--broker", broker, **NONE_LEFT)
    assert "6 are in" in again.stdout
    command_line.run("verify", "a", "--output", "late", "--all")
    # And a later one that wants none takes their results, while one that wants all trains again.
    for policy, said in (("none", "attempts 0, reused 6"), ("all", "attempts 6, reused 0")):
        words = ("--seeds", "0-2", "--learning-rates", "0.01,0.03", "--epochs", "1", "--limit", "200")
        to = ("--output", policy, "--broker", broker, "--keep-weights", policy)
        done = command_line.run("sweep", *words, "--name", policy, *to, **NONE_LEFT)
        assert said in done.stdout


def test_who_follows_a_sweep_in_another_folder_leaves_its_artifacts(
    cluster: Cluster, command_line: CommandLine
) -> None:
    # Given a sweep that was submitted from one folder, and followed in another one, twice
    broker = cluster.server.url
    options = {"seeds": 2, "learning_rate": 0.01, "epochs": 1, "limit": 200}
    seedsweep.submit(name="a", output=command_line.folder / "there", broker=broker, **options)
    cluster.start_worker()
    for _ in range(2):
        command_line.run("watch", "a", "--broker", broker, **NONE_LEFT)
        # Then that has the weights, and the session that goes on will find them
        assert len(files(command_line, "a")) == left(cluster) == 2
    command_line.run("sweep", "--resume", "--name", "a", "--broker", broker, **NONE_LEFT)
    assert left(cluster) == 2
    # And they leave the cluster with it.
    command_line.run("watch", "a", "--output", "there", "--broker", broker, **NONE_LEFT)
    assert (len(files(command_line, "a", "there")), left(cluster)) == (2, 0)


def test_a_release_takes_a_bounded_number_of_what_was_released_before(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MAX_JOBS", 1)
    cluster.server.client().zadd("seedsweep:released", {number.to_bytes(40, "big"): -1.0 for number in range(1000)})
    artifacts = collect.Artifacts(ClusterView(cluster.with_settings(artifact_bytes=0).settings), "a")
    artifacts.add("0" * 64, make_job(), result(make_job(), 0.5, 0.6))
    artifacts.release()
    assert cluster.server.client().zcard("seedsweep:released") == 1001 - CHUNK


def test_a_cluster_keeps_the_last_artifacts_up_to_a_bound(command_line: CommandLine, cluster: Cluster) -> None:
    cluster.start_worker()
    words = (*SMALL, "--hidden", "8,4", "--broker", cluster.server.url)
    # Two artifacts of 26 kB fit
    command_line.run("sweep", *words, "--name", "a", SEEDSWEEP_ARTIFACT_BYTES="60000")
    assert left(cluster) == 2
    command_line.run("sweep", *words, "--seeds", "5", "--name", "b", SEEDSWEEP_ARTIFACT_BYTES="60000")
    assert left(cluster) == 2
    # What is no count of ours begins anew, and so does what is no set.
    for seed, name in (("6", "seedsweep:released:bytes"), ("7", "seedsweep:released")):
        cluster.server.client().set(name, 2**63 - 1)
        command_line.run("sweep", *words, "--seeds", seed, "--name", seed, SEEDSWEEP_ARTIFACT_BYTES="60000")
