"""A sweep's folder: what it takes and what it refuses, and that nothing is written outside it."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from nn.errors import InvalidInputError
from nn.files import digest
from orchestrator.errors import OutputError, SweepExistsError, SweepNotFoundError, SweepUnreadableError
from orchestrator.folder import sweep_folder
from orchestrator.folder.locks import holder, locks
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import MAX_SESSIONS
from orchestrator.sweeps.naming import free_name
from tests.support.privileges import without_privileges
from tests.support.sweep_folders import BLOB, BY_KEY, JOBS, made, names_in, row


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc", "a b", ".hidden", "-x", "ä", "a" * 101, "a\n", "a\0", "last"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^name is "):
        SweepFolder(tmp_path, name)


def test_a_free_name_is_free(tmp_path: Path) -> None:
    for _ in range(3):
        (tmp_path / free_name(tmp_path)).mkdir()


def test_a_name_is_taken_or_that_of_no_sweep(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(SweepExistsError, match="--resume"):
        made(tmp_path)
    with pytest.raises(SweepNotFoundError, match="no sweep named none"):
        SweepFolder(tmp_path, "none").manifest()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("none")
    for name, what in {
        "empty": "There is no sweep in .*/empty: the folder has no sweep.json",
        "file": "There is no sweep in .*/file: it is a file",
        "nowhere": "There is no sweep in .*/nowhere: it is not a folder",
    }.items():
        with pytest.raises(SweepNotFoundError, match=what):
            SweepFolder(tmp_path, name).manifest()
        with pytest.raises(SweepExistsError, match=f"{what}; choose another --name"):
            SweepFolder(tmp_path, name).refuse_existing()
    (tmp_path / "foreign").mkdir()
    described = next(tmp_path.glob("*/sweep.json")).read_text()
    hostile = described.replace('"specification": {', '"specification": {"\\u001b]0;x\\u202e": 3,')
    (tmp_path / "foreign" / "sweep.json").write_text(hostile)
    with pytest.raises(SweepNotFoundError, match=r"does not describe a sweep at specification at \\x1b\]0;x\\u202e: "):
        SweepFolder(tmp_path, "foreign").manifest()


def test_a_file_in_the_way_is_an_output_error_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for attempt in (SweepFolder(tmp_path / "file", "a").check_writable, lambda: made(tmp_path / "file" / "deeper")):
        with pytest.raises(OutputError, match="cannot be written"):
            attempt()
    # Nor by looking whether a folder can be written
    SweepFolder(tmp_path / "not" / "yet", "a").check_writable()
    assert names_in(tmp_path) == ["file"]


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder. What is made in it may be nested deeper than pytest can remove: it is cut into pieces."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for depth in (800, 400):
        if Path("a/" * depth).is_dir():
            Path("a/" * depth).rename(f"from {depth}")


def test_a_path_that_cannot_be_is_an_output_error_and_nothing_is_left(working_folder: Path) -> None:
    Path("loop").symlink_to("loop")
    long = 38 * f"{99 * 'a'}/"
    for output in ("a" * 5000, "new/" + "a" * 300, 2 * long, long + "b" * 255, "loop", "loop/deeper"):
        assert free_name(Path(output))
        with pytest.raises(OutputError, match="cannot be written"):
            made(Path(output))
        assert names_in(working_folder) == ["loop"]


def test_folders_nested_deeper_than_python_calls_are_made(working_folder: Path) -> None:
    assert made(Path("a/" * (sys.getrecursionlimit() + 1))).manifest().name == "a"


def test_a_closed_folder_is_an_output_error(tmp_path: Path) -> None:
    folder = made(tmp_path / "closed")
    folder.path.parent.chmod(0)
    try:
        with without_privileges():
            assert free_name(folder.path.parent)
            for attempt in (folder.check_writable, lambda: made(folder.path.parent, "b"), folder.exclusive().__enter__):
                with pytest.raises(OutputError, match="cannot be written: Permission denied"):
                    attempt()
            with pytest.raises(SweepUnreadableError, match=r"sweep\.json cannot be read: Permission denied"):
                folder.manifest()
    finally:
        folder.path.parent.chmod(0o755)


def test_what_a_killed_maker_left_goes_with_the_next_folder_once_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given what two makers left, one long ago and one just now: each ended without the time to clear up
    with monkeypatch.context() as killed:
        killed.setattr(Path, "rename", Mock(side_effect=KeyboardInterrupt))
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)
        for name in ("old", "new"):
            with pytest.raises(KeyboardInterrupt):
                made(tmp_path, name)
    (new,) = tmp_path.glob(".new.*")
    # And folders of somebody's own that are called so
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


def test_what_is_no_file_is_not_waited_for(folder: SweepFolder) -> None:
    # Given a sweep of which every file is a pipe
    (folder.path / "sweep.json").unlink()
    for path in (folder.path / "sweep.json", folder.path / "results.jsonl", folder.weights_path("0" * 64)):
        os.mkfifo(path)
    # Then nothing is read from it, which is said, and nothing can be written to it.
    with pytest.raises(SweepUnreadableError, match="Not a regular file"):
        folder.manifest()
    with pytest.raises(SweepUnreadableError, match=r"results\.jsonl cannot be read: Not a regular file"):
        folder.rows(BY_KEY)
    assert folder.weights_fault(JOBS[0], "0" * 64) == "damaged"
    with pytest.raises(OutputError, match="is not a regular file"), folder.exclusive():
        pass


@pytest.mark.parametrize("name", ["sweep.json", "results.jsonl", "weights"])
def test_a_folder_of_somebody_elses_writes_nothing_through_its_links(
    tmp_path: Path, folder: SweepFolder, name: str
) -> None:
    # Given a sweep of which a part is a link to what is the user's own: a text without an end, or a folder
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


def test_a_sweeps_folder_may_be_a_link(tmp_path: Path) -> None:
    made(tmp_path / "disk")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(tmp_path / "disk" / "a")
    folder = SweepFolder(tmp_path / "runs", "a")
    with folder.exclusive():
        folder.append(row(JOBS[0]))
        folder.keep_weights(digest(BLOB), BLOB)
    assert list(SweepFolder(tmp_path / "disk", "a").rows(BY_KEY)) == [JOBS[0].key]


def test_a_lost_folder_of_weights_is_made_again_and_a_file_in_its_place_is_said(folder: SweepFolder) -> None:
    weights = folder.path / "weights"
    weights.rmdir()
    with folder.exclusive():
        folder.keep_weights(digest(BLOB), BLOB)
    assert folder.has_weights(JOBS[0], row(JOBS[0]))
    shutil.rmtree(weights)
    weights.touch()
    with pytest.raises(OutputError, match=r"a/weights is not a folder: move it away"), folder.exclusive():
        pass


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": [*range(1000)], "grid": {"learning_rate": [*range(1, 1001)]}}, "it has 1000000 jobs; allowed: "),
        ({"seeds": []}, "it has 0 jobs; allowed: "),
        ({"seeds": [2**32]}, "at specification at seeds at 0: "),
        ({"options": {"epochs": "many"}}, "at specification: invalid epochs; allowed: an integer from 1"),
        ({"options": {"momentum": 0.9}}, "at specification: 'momentum' is not an option of the trainer"),
        ({"options": {"epochs": 1}, "grid": {"epochs": [1, 2]}}, "at specification: epochs is in both options and"),
        ({"grid": {"epochs": [1, 1]}}, "at specification: epochs has a value more than once"),
        ({"grid": {"learning_rate": []}}, "at specification: learning_rate has no values"),
        ({"grid": {"learning_rate": [1, -1]}}, "at specification: invalid learning_rate; allowed: "),
        ({"momentum": 0.9}, "at specification at momentum: "),
        ({"data": 1_100_000 * "a"}, ": it has a text that is too long"),
        ({"seeds": 310_000 * [0]}, ": it has too many values"),
        (dict.fromkeys(map(str, range(2000))), ": it has 2000 faults"),
    ],
)
def test_a_description_of_no_possible_sweep_is_refused(
    folder: SweepFolder, changes: dict[str, Any], reason: str
) -> None:
    content = json.loads((folder.path / "sweep.json").read_text())
    content["specification"] = {"seeds": [0], "options": {}, "grid": {}} | changes
    (folder.path / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(SweepNotFoundError, match="does not describe a sweep") as caught:
        folder.manifest()
    assert reason in str(caught.value)


def test_of_its_sessions_a_sweep_remembers_the_first_and_the_last_thousand(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = folder.manifest()
    own = manifest.provenance.model_copy(update={"pid": os.getpid()})
    monkeypatch.setattr("orchestrator.sweeps.manifest.provenance", lambda _: own)
    many = manifest.model_copy(update={"resumed": MAX_SESSIONS * [manifest.provenance]}).with_session()
    assert (len(many.resumed), many.resumed[-1].pid) == (MAX_SESSIONS, os.getpid())
    folder.write_manifest(many.model_copy(update={"resumed": [*many.resumed, manifest.provenance]}))
    with pytest.raises(SweepNotFoundError, match="at resumed: List should have at most 1000 items"):
        SweepFolder(folder.path.parent, folder.name).manifest()


def test_a_folder_that_is_removed_takes_no_more_rows(folder: SweepFolder, tmp_path: Path) -> None:
    with folder.exclusive():
        folder.path.rename(tmp_path / "gone")
        with pytest.raises(OutputError, match=r"a was moved or removed while the sweep ran"):
            folder.append(row(JOBS[0]))


def test_a_new_folder_is_locked_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: set[int | None] = set()
    monkeypatch.setattr(sweep_folder, "sync_folder", lambda _: found.add(holder(tmp_path / "new", locks())))
    made(tmp_path, "new")
    assert found == {os.getpid()}


def test_two_orchestrators_do_not_write_to_one_folder(folder: SweepFolder) -> None:
    with folder.exclusive(), pytest.raises(SweepExistsError, match="Another process"), folder.exclusive():
        pass
    with folder.exclusive():
        pass
