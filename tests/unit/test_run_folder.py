"""A sweep's folder: what it takes, what it refuses, and what survives an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError, WeightsError
from nn.weights import digest
from orchestrator.errors import OutputError, SweepExistsError, SweepNotFoundError
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import Row, accepted_row, lost_row
from orchestrator.folder.sweep_folder import RunFolder
from orchestrator.interruption import Interruption
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest, free_name
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.privileges import without_privileges
from worker.job import Job, Result
from worker.settings import Settings

SPECIFICATION = SweepSpecification(seeds=(0, 1), learning_rates=(0.1,), epochs=1)
JOBS = SPECIFICATION.jobs(MNIST_DIGEST)
BLOB = b"weights"


def made(output: Path, name: str = "a") -> RunFolder:
    folder = RunFolder(output, name)
    keys = [job.key for job in JOBS]
    folder.create(
        Manifest(name=name, specification=SPECIFICATION, dataset=MNIST_DIGEST, jobs=keys, provenance=provenance())
    )
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def row(job: Job, blob: bytes = BLOB) -> Row:
    result = Result(
        job=job.key,
        status="succeeded",
        validation_accuracy=[0.5],
        epoch_seconds=[0.25],
        weights_sha256=digest(blob),
        weights_bytes=len(blob),
        worker="w@host",
        attempts=1,
    )
    return accepted_row(job, result)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a b", ".hidden", "-x", "ä", "a" * 101, "a\n", "a\0"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="--name"):
        RunFolder(tmp_path, name)


def test_a_free_name_is_free(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        name = free_name(tmp_path)
        (tmp_path / name).mkdir()
        names.add(name)
    assert len(names) == 3


def test_the_description_survives(tmp_path: Path) -> None:
    manifest = made(tmp_path).manifest()

    assert manifest.specification == SPECIFICATION
    assert manifest.jobs == [job.key for job in JOBS]
    described = json.loads((tmp_path / "a" / "sweep.json").read_text())["provenance"]
    assert described["packages"]["celery"]
    assert described["host"]
    assert described["created"].endswith("+00:00")


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(SweepExistsError, match="--resume"):
        made(tmp_path)


def test_a_missing_or_foreign_folder_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(SweepNotFoundError, match="no sweep named none"):
        RunFolder(tmp_path, "none").manifest()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("none")
    for name, what in {
        "empty": r"The folder .*/empty is not a sweep's \(it has no sweep.json\)",
        "file": "/file is a file, and not a sweep's folder",
        "nowhere": "/nowhere is in the place of a folder, and not a sweep's folder",
    }.items():
        with pytest.raises(SweepNotFoundError, match=what):
            RunFolder(tmp_path, name).manifest()
        with pytest.raises(SweepExistsError, match=f"{what}: choose another --name"):
            RunFolder(tmp_path, name).refuse_existing()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "sweep.json").write_text('{"name": 3}')
    with pytest.raises(SweepNotFoundError, match="not a sweep's description"):
        RunFolder(tmp_path, "foreign").manifest()


def test_a_file_in_the_way_is_an_output_error_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for attempt in (RunFolder(tmp_path / "file", "a").check_writable, lambda: made(tmp_path / "file" / "deeper")):
        with pytest.raises(OutputError, match="cannot be written"):
            attempt()
    assert names_in(tmp_path) == ["file"]


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder. What is made in it may be nested deeper than pytest can remove."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


def test_a_path_that_cannot_be_is_an_output_error_and_nothing_is_left(working_folder: Path) -> None:
    Path("loop").symlink_to("loop")
    for output in ("a" * 5000, "new/" + "a" * 300, "a/" * 3000 + "b", "a/" * 1900 + "b" * 255, "loop", "loop/deeper"):
        assert free_name(Path(output))
        with pytest.raises(OutputError, match="cannot be written"):
            made(Path(output))
        assert names_in(working_folder) == ["loop"]


def test_folders_nested_as_deep_as_a_path_can_say_are_made(working_folder: Path) -> None:
    assert made(Path("a/" * 1500)).manifest().name == "a"


def test_a_closed_folder_is_an_output_error(tmp_path: Path) -> None:
    folder = made(tmp_path / "closed")
    folder.path.parent.chmod(0)
    try:
        with without_privileges():
            assert free_name(folder.path.parent)
            for attempt in (folder.check_writable, lambda: made(folder.path.parent, "b"), folder.exclusive().__enter__):
                with pytest.raises(OutputError, match="cannot be written: Permission denied"):
                    attempt()
            with pytest.raises(SweepNotFoundError, match="cannot be read: Permission denied"):
                folder.manifest()
    finally:
        folder.path.parent.chmod(0o755)


KILLED_WHILE_MAKING = """
import os, pathlib, signal, sys
from orchestrator.folder import create as new_folder
pathlib.Path.rename = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
new_folder.make(pathlib.Path(sys.argv[1]), "{}")
"""


def test_what_a_killed_maker_left_goes_with_the_next_folder_once_it_is_old(tmp_path: Path) -> None:
    # Given what two makers left, one long ago and one just now, and folders of somebody's own that are called so
    for name in ("old", "new"):
        command = [sys.executable, "-c", KILLED_WHILE_MAKING, str(tmp_path / name)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (new,) = tmp_path.glob(".new.*")
    for own in (".own.new/file", ".full.new/weights/file"):
        (tmp_path / own).parent.mkdir(parents=True)
        (tmp_path / own).write_text("mine")
    for path in set(tmp_path.iterdir()) - {new}:
        os.utime(path, (0, 0))
    assert len(names_in(tmp_path)) == 4
    # When a sweep is made, then the old remains are gone and nothing else.
    made(tmp_path)
    assert names_in(tmp_path) == [".full.new", new.name, ".own.new", "a"]
    assert (tmp_path / ".own.new" / "file").read_text() == "mine"
    assert (tmp_path / ".full.new" / "weights" / "file").read_text() == "mine"


def test_looking_whether_a_folder_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "not" / "yet", "a").check_writable()
    assert names_in(tmp_path) == []


def test_rows_survive_a_torn_line(tmp_path: Path) -> None:
    # Given a row, and the beginning of another one, as SIGKILL leaves it.
    folder = made(tmp_path)
    folder.append(row(JOBS[0]))
    results = folder.path / "results.jsonl"
    with results.open("ab") as file:
        file.write(row(JOBS[1]).line().encode()[:100])

    # Then the whole row is there, and a row that comes later is not glued to the torn one.
    assert list(folder.rows()) == [JOBS[0].key]
    with folder.exclusive():
        folder.append(row(JOBS[1]))
    assert list(folder.rows()) == [JOBS[0].key, JOBS[1].key]
    assert [json.loads(line)["seed"] for line in results.read_text().splitlines()] == [0, 1]


def test_a_torn_line_is_cut_however_long(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.append(row(JOBS[0]))
    whole = (folder.path / "results.jsonl").read_bytes()
    for before, torn in ((whole, b"x" * 200_000), (b"", b"x" * 200_000), (whole, b""), (b"", b"")):
        (folder.path / "results.jsonl").write_bytes(before + torn)
        with folder.exclusive():
            assert (folder.path / "results.jsonl").read_bytes() == before


def test_a_line_without_an_end_costs_little_memory(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.append(row(JOBS[0]))
    os.truncate(folder.path / "results.jsonl", 100 * 2**20)
    assert max(map(len, folder.lines())) <= 16 * 2**20
    assert list(folder.rows()) == [JOBS[0].key]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    # Given a sweep of which every file is a pipe
    folder = made(tmp_path)
    (folder.path / "sweep.json").unlink()
    for path in (folder.path / "sweep.json", folder.path / "results.jsonl", folder.weights_path("0" * 64)):
        os.mkfifo(path)
    # Then it has nothing, and nothing can be written to it.
    with pytest.raises(SweepNotFoundError, match="Not a regular file"):
        folder.manifest()
    assert folder.rows() == {}
    assert not folder.has_weights("0" * 64)
    with pytest.raises(OutputError, match="is not a regular file"), folder.exclusive():
        pass


@pytest.mark.parametrize("name", ["sweep.json", "results.jsonl", "weights"])
def test_a_folder_of_somebody_elses_writes_nothing_through_its_links(tmp_path: Path, name: str) -> None:
    # Given a sweep of which a part is a link to what is the user's own: a text without an end, or a folder
    folder = made(tmp_path)
    own = folder.path / name
    target = tmp_path / "mine"
    if own.is_dir():
        own.rmdir()
        target.mkdir()
        (target / f".a.{'0' * 32}.tmp").write_text("mine")
    else:
        target.write_text("mine, without a newline")
        own.unlink(missing_ok=True)
    own.symlink_to(target)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # Then nobody writes there
    with pytest.raises(OutputError, match=f"{name} is a symbolic link"), folder.exclusive():
        pass
    if name == "results.jsonl":
        with pytest.raises(OutputError, match="cannot be written"):
            folder.append(row(JOBS[0]))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_sweeps_folder_may_be_a_link_and_its_files_have_several_names(tmp_path: Path) -> None:
    made(tmp_path / "disk")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(tmp_path / "disk" / "a")
    folder = RunFolder(tmp_path / "runs", "a")
    (folder.path / "results.jsonl").touch()
    os.link(folder.path / "results.jsonl", tmp_path / "second name")
    with folder.exclusive():
        folder.append(row(JOBS[0]))
        folder.keep_weights(digest(BLOB), BLOB)
    assert list(RunFolder(tmp_path / "disk", "a").rows()) == [JOBS[0].key]


def test_a_lost_folder_of_weights_is_made_again(tmp_path: Path) -> None:
    folder = made(tmp_path)
    (folder.path / "weights").rmdir()
    with folder.exclusive():
        folder.keep_weights(digest(BLOB), BLOB)
    assert folder.has_weights(digest(BLOB))


def test_a_file_in_the_place_of_the_weights_is_said_in_one_sentence(tmp_path: Path) -> None:
    folder = made(tmp_path)
    (folder.path / "weights").rmdir()
    (folder.path / "weights").touch()
    with pytest.raises(OutputError, match=r"a/weights is not a folder: move it away"), folder.exclusive():
        pass


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"seeds": list(range(1000)), "learning_rates": [i + 1 for i in range(1000)]},
            "it has 1000000 jobs; allowed: ",
        ),
        ({"seeds": []}, "it has 0 jobs; allowed: "),
        ({"epochs": "many"}, "at specification at epochs: "),
    ],
)
def test_a_description_of_no_possible_sweep_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    folder = made(tmp_path)
    content = json.loads((folder.path / "sweep.json").read_text())
    content["specification"] |= changes
    (folder.path / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(SweepNotFoundError, match="is not a sweep's description") as caught:
        folder.manifest()
    assert reason in str(caught.value)


def test_a_result_replaces_a_failure_and_never_the_other_way_round(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for new in (lost_row(JOBS[0], "failed", "it broke"), row(JOBS[0]), lost_row(JOBS[0], "failed", "late")):
        folder.append(new)
    assert folder.rows()[JOBS[0].key].status == "succeeded"


def test_two_orchestrators_do_not_write_to_one_folder(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with folder.exclusive(), pytest.raises(SweepExistsError, match="Another process"), folder.exclusive():
        pass
    with folder.exclusive():
        pass


def test_weights_are_kept_only_if_they_are_what_they_are_called(tmp_path: Path) -> None:
    folder = made(tmp_path)

    folder.keep_weights(digest(BLOB), BLOB)
    with pytest.raises(WeightsError, match="arrived damaged"):
        folder.keep_weights(digest(b"other"), BLOB)

    assert names_in(folder.path / "weights") == [f"{digest(BLOB)}.safetensors"]
    assert folder.has_weights(digest(BLOB))
    folder.weights_path(digest(BLOB)).write_bytes(b"damaged")
    assert not folder.has_weights(digest(BLOB))


def test_a_hash_that_is_none_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        made(tmp_path).keep_weights("../../escape", BLOB)


def test_results_end_in_the_order_of_the_sweep(tmp_path: Path) -> None:
    folder = made(tmp_path)
    rows = {job.key: row(job) for job in reversed(JOBS)}

    folder.finish(rows, [job.key for job in JOBS], "csv", "json")

    assert list(folder.rows()) == [job.key for job in JOBS]
    assert (folder.path / "leaderboard.csv").read_text() == "csv"


def test_results_of_other_sweeps_are_found_with_their_weights(tmp_path: Path) -> None:
    # Given a sweep with one good row, one whose weights are damaged, and one that failed.
    other = made(tmp_path, "other")
    other.keep_weights(digest(BLOB), BLOB)
    other.append(row(JOBS[0]))
    other.append(row(JOBS[1], b"never stored"))

    # When another sweep asks for both jobs, it gets what is whole.
    folder = made(tmp_path, "new")
    wanted = {job.key: job for job in JOBS}
    found = list(sibling_results(folder, wanted))
    assert [(reused.job, source.name) for reused, source in found] == [(JOBS[0].key, "other")]

    # And the weights are the same file's bytes, also after the other sweep is gone.
    folder.take_weights(other, digest(BLOB))
    other.weights_path(digest(BLOB)).unlink()
    assert folder.has_weights(digest(BLOB))


def test_weights_behind_a_link_are_taken_and_not_the_link(tmp_path: Path) -> None:
    other, folder = made(tmp_path, "other"), made(tmp_path, "new")
    (tmp_path / "elsewhere").write_bytes(BLOB)
    other.weights_path(digest(BLOB)).symlink_to(tmp_path / "elsewhere")
    folder.take_weights(other, digest(BLOB))
    (tmp_path / "elsewhere").unlink()
    assert folder.has_weights(digest(BLOB))


def test_a_line_that_names_two_jobs_counts_once_for_the_row_it_holds(tmp_path: Path) -> None:
    # Given a sweep whose lines begin with the key of a wanted job, and hold the row of another one
    other = made(tmp_path, "other")
    other.keep_weights(digest(BLOB), BLOB)
    first = '{"job":"' + JOBS[0].key + '",'
    unwanted = row(JOBS[1].model_copy(update={"seed": 9}))
    for each in (unwanted, row(JOBS[1]), row(JOBS[1])):
        with (other.path / "results.jsonl").open("a") as file:
            file.write(each.line().replace("{", first, 1))
    # Then the row that is wanted is found, once.
    found = sibling_results(made(tmp_path, "new"), {job.key: job for job in JOBS})
    assert [reused.job for reused, _ in found] == [JOBS[1].key]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 77},
        {"learning_rate": 0.5},
        {"epochs": 2},
        {"validation_accuracy": [0.5, 0.6], "epoch_seconds": [0.25, 0.25]},
        {"notebook_accuracy": [1.0]},
    ],
    ids=str,
)
def test_a_row_that_says_something_else_of_its_job_counts_as_absent(tmp_path: Path, changes: dict[str, Any]) -> None:
    # Given a sweep and a sibling, both with a row that is another job's, under the key of a wanted one
    folder, other = made(tmp_path), made(tmp_path, "other")
    for each in (folder, other):
        each.keep_weights(digest(BLOB), BLOB)
        each.append(row(JOBS[0]).model_copy(update=changes))
        each.append(row(JOBS[1]))
    # Then both are passed over, and the row beside them is taken.
    wanted = {job.key: job for job in JOBS}
    run = Session(folder, wanted, Settings(), "bundled", Interruption())
    assert (run.keep_own(), list(run.rows)) == (1, [JOBS[1].key])
    assert [found.job for found, _ in sibling_results(made(tmp_path, "new"), wanted)] == [JOBS[1].key]


def test_a_sweep_does_not_reuse_itself_or_failures(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.keep_weights(digest(BLOB), BLOB)
    folder.append(row(JOBS[0]))
    other = made(tmp_path, "other")
    other.append(lost_row(JOBS[1], "failed", "it broke"))

    assert list(sibling_results(folder, {job.key: job for job in JOBS})) == []
