"""A trainer whose code changes, while its version does not, and one of which a cluster has two versions."""

from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.own_trainer import install_source

SOURCE = "from tests.trainers.broken import Honest\nclass Own(Honest):\n    name = 'own'\n"


def words(name: str, seeds: str = "0-1") -> tuple[str, ...]:
    return "sweep", "--trainer", "own", "--seeds", seeds, "--name", name


def edit(module: Path) -> None:
    module.write_text(f"{module.read_text()}# edited\n")


def test_results_of_other_code_are_reused_only_if_that_is_asked_for(command_line: CommandLine) -> None:
    module = install_source(command_line.folder / "site", "own", SOURCE, "Own")
    environment = {"PYTHONPATH": str(module.parent)}
    command_line.run(*words("a"), **environment)
    [code] = {row["code"] for row in command_line.rows("a")}
    assert code.startswith("own 1.0, files ")
    assert "reused 2" in command_line.run(*words("b"), **environment).stdout
    # When a line changes, the results are trained again, and the sweep says why, once;
    edit(module)
    done = command_line.run(*words("c"), **environment).stdout
    assert "reused 0" in done
    assert done.count(f"Results of other code of the trainer own are not reused: {code} made them, and own 1.0") == 1
    # so says verify before it trains.
    done = command_line.run("verify", "a", **environment).stdout
    assert f"The code of the trainer differs: {code} made the sweep's results" in done
    # From now on, those of the new code are reused,
    assert "reused 2" in command_line.run(*words("d"), **environment).stdout
    # and others if that is asked for.
    edit(module)
    done = command_line.run(*words("e"), "--reuse-anyway", **environment).stdout
    assert ("reused 2" in done, "are not reused" in done) == (True, False)
    # So it is when a sweep grows: here by a seed that code has trained which is no longer there.
    command_line.run(*words("f", "2"), **environment)
    edit(module)
    assert "reused 3" in command_line.run("extend", "e", "--seeds", "2", "--reuse-anyway", **environment).stdout
    # Otherwise the sweep says that it goes on with other code.
    done = command_line.run("extend", "f", "--seeds", "3", **environment).stdout
    assert "The code of the trainer own has changed since it made results of this sweep: own 1.0, files " in done


def test_a_cluster_trains_again_what_other_code_has_trained(cluster: Cluster, command_line: CommandLine) -> None:
    module = install_source(command_line.folder / "site", "own", SOURCE, "Own")
    environment = {"PYTHONPATH": str(module.parent)}
    place = ("--broker", cluster.server.url, "--output")
    worker = cluster.start_worker(SEEDSWEEP_TRAINER="own", **environment)
    command_line.run(*words("a"), *place, "1", **environment)
    worker.process.terminate()
    worker.process.wait(60)
    edit(module)
    cluster.start_worker(SEEDSWEEP_TRAINER="own", **environment)
    done = command_line.run(*words("b"), *place, "2", **environment).stdout
    assert ("reused 0" in done, "are not reused" in done, "mismatches 0" in done) == (True, True, True)
    assert "reused 2" in command_line.run(*words("c"), *place, "3", **environment).stdout


def test_a_job_waits_for_a_worker_with_its_version(cluster: Cluster, command_line: CommandLine, tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    for version, folder in enumerate((old, new), start=1):
        install_source(Path(folder), "own", f"{SOURCE}    version = {version}\n", "Own")
    words = ("--name", "first", "--broker", cluster.server.url)
    grid = ("--trainer", "own", "--grid", "rate=0.01,0.1", "--seeds", "0")
    # Given a worker with version 2, and a sweep that began with version 1
    newer = cluster.start_worker(PYTHONPATH=new, SEEDSWEEP_TRAINER="own")
    sweep = command_line.start("sweep", *grid, *words, PYTHONPATH=old)
    newer.wait_until_logged("it needs the trainer own, version 1", times=2)
    # When a worker with version 1 is there
    older = cluster.start_worker(PYTHONPATH=old, SEEDSWEEP_TRAINER="own")
    # Then that one trains all jobs, and none has failed
    command_line.end(sweep)
    assert [(row["status"], row["worker"], row["attempts"]) for row in command_line.rows("first")] == [
        ("succeeded", older.name, 1)
    ] * 2
    # And an orchestrator with version 2 does not go on with the sweep, because its jobs are others
    refused = command_line.run("sweep", "--resume", *words, status=2, PYTHONPATH=new)
    assert "Version 1 of the trainer own trained jobs of this sweep, to other bits" in refused.stderr
    # But trains its own sweeps
    command_line.run("sweep", *grid, "--name", "second", *words[2:], PYTHONPATH=new)
    assert [row["worker"] for row in command_line.rows("second")] == [newer.name] * 2
    assert not {row["job"] for row in command_line.rows("first")} & {row["job"] for row in command_line.rows("second")}
