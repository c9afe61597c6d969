"""A sweep whose trainer is not installed here, or cannot be imported: one sentence, and no harm to other sweeps."""

import json
from pathlib import Path

import pytest

from orchestrator.cluster.registry import Registry
from orchestrator.errors import SweepNotFoundError, TrainerMissingError
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from tests.support.cluster import Cluster
from tests.support.in_process import InProcess
from tests.support.own_trainer import installed
from tests.support.sweep_folders import BY_KEY, JOBS, made, row
from worker.errors import TrainerUnusableError
from worker.records.store import Store
from worker.trainers import registry

MISSING = (
    "The trainer softmax of the sweep first is not installed here (where the sweep began, the package softmax 1.0 has "
    "brought it): install the package that brings it, beside Seedsweep; orchestrator "
    "trainers lists what is installed"
)
#: A module of a trainer that cannot be imported, each in its own way.
BROKEN = {
    "ModuleNotFoundError: No module named 'nobody_has_it'": "import nobody_has_it",
    "SystemExit: 3": "import sys; sys.exit(3)",
    "SyntaxError": "class Broken(",
    "RuntimeError: a second line": "raise RuntimeError('a\\nsecond line')",
    "AttributeError": "x = 1",
}


def renamed(folder: SweepFolder, trainer: str, package: object = None) -> None:
    """Let a sweep's folder name another trainer."""
    file = folder.path / "sweep.json"
    content = json.loads(file.read_text())
    content["specification"]["trainer"] = trainer
    content["provenance"]["trainer_package"] = package
    file.write_text(json.dumps(content))


def test_every_command_on_the_sweep_names_the_trainer_and_its_package(here: InProcess, cluster: Cluster) -> None:
    renamed(made(here.runs, "first"), "softmax", "softmax 1.0")
    broker = ("--broker", cluster.server.url)
    for command in (
        ("sweep", "--resume", "--name", "first"),
        ("verify", "first"),
        ("show", "first", "seed=0"),
        ("watch", "first", *broker),
        ("cancel", "first", *broker),
    ):
        assert here.refused(*command) == f"{MISSING}\n", command


@pytest.mark.parametrize(
    ("trainer", "package", "error", "said"),
    [
        ("softmax", None, TrainerMissingError, "The trainer softmax of the sweep a is not installed here: install"),
        ("softmax", "x\n1.0", TrainerMissingError, r"the package x\\n1\.0 has brought it"),
        ("softmax", "x" * 101, SweepNotFoundError, "does not describe a sweep"),
        ("softmax", {"x": 1}, SweepNotFoundError, "does not describe a sweep"),
        ("os.system", "evil 1.0", SweepNotFoundError, "does not describe a sweep"),
        ("a" * 41, "evil 1.0", SweepNotFoundError, "does not describe a sweep"),
        ("softmax\n", "evil 1.0", SweepNotFoundError, "does not describe a sweep"),
        (["softmax"], "evil 1.0", SweepNotFoundError, "does not describe a sweep"),
    ],
)
def test_what_a_foreign_folder_says_is_shown_with_care(
    tmp_path: Path, trainer: str, package: object, error: type[Exception], said: str
) -> None:
    folder = made(tmp_path)
    renamed(folder, trainer, package)

    with pytest.raises(error, match=said) as caught:
        folder.manifest()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("reason", BROKEN)
def test_a_trainer_that_cannot_be_imported_is_named_with_its_reason(tmp_path: Path, reason: str) -> None:
    folder = made(tmp_path)
    renamed(folder, "broken")
    found = installed(tmp_path / "site", "broken", BROKEN[reason], "Broken")
    with found, pytest.raises(TrainerUnusableError) as caught:
        folder.manifest()
    assert str(caught.value).startswith("The trainer broken (broken_trainer:Broken) cannot be imported: ")
    assert reason.partition(":")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_of_a_broken_trainer_are_skipped_and_not_reused(tmp_path: Path) -> None:
    folder, other = made(tmp_path), made(tmp_path, "b")
    foreign = json.loads(row(JOBS[0]).line()) | {"trainer": "broken"}
    for each in (folder, other):
        with (each.path / "results.jsonl").open("a") as file:
            file.write(json.dumps(foreign, separators=(",", ":")) + "\n" + row(JOBS[1]).line())
    told: list[str] = []

    with installed(tmp_path / "site", "broken", "import nobody_has_it", "Broken"):
        assert list(folder.rows(BY_KEY)) == [JOBS[1].key]
        assert list(sibling_results(folder, {JOBS[0].key: JOBS[0]}, told.append)) == []
    assert told == []


def test_a_registered_sweep_of_a_broken_trainer_is_in_nobodys_way(cluster: Cluster, tmp_path: Path) -> None:
    # Given two registered sweeps, one of a trainer that is missing, and one of a trainer that is broken
    ours = made(tmp_path).manifest()
    sweeps = Registry(Store(cluster.server.client(), expires=60))
    for name, trainer in (("gone", "softmax"), ("bad", "broken")):
        content = json.loads(ours.model_dump_json()) | {"name": name}
        content["specification"]["trainer"] = trainer
        client = cluster.server.client()
        client.hset(f"seedsweep:sweep:{name}", "manifest", json.dumps(content))
        client.sadd("seedsweep:sweeps", name)
    sweeps.register(ours)

    with installed(tmp_path / "site", "broken", "import nobody_has_it", "Broken"):
        # Then what a session asks about other sweeps is answered,
        assert sweeps.wanted_by_others("a", ours.jobs) == {}
        # and who asks for them is told why there is no answer.
        with pytest.raises(TrainerMissingError, match="The trainer softmax of the sweep gone is not installed here"):
            sweeps.manifest("gone")
        with pytest.raises(TrainerUnusableError, match=r"The trainer broken .* cannot be imported"):
            sweeps.manifest("bad")


def test_a_sweep_records_the_package_of_its_trainer(tmp_path: Path) -> None:
    with installed(tmp_path / "site", "broken", "", "Broken"):
        assert registry.package("broken") == "broken 1.0"
    assert registry.package("broken") is None
    assert str(registry.package("network")).startswith("seedsweep ")
    # One that was written before reads as it did.
    content = json.loads(made(tmp_path).manifest().model_dump_json())
    del content["provenance"]["trainer_package"]
    assert Manifest.read(json.dumps(content).encode()).provenance.trainer_package is None
