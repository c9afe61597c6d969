"""A sweep folder from somebody else: what it costs to read is bounded, and what is reused of it was checked."""

import grp
import io
import json
import os
import pwd
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nn import files
from nn.errors import DatasetError, WeightsError
from nn.files import digest
from nn.weights import Weights, from_safetensors, to_safetensors
from orchestrator.analysis import summary
from orchestrator.analysis.lookup import load_data
from orchestrator.analysis.statement import Claim
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.outcome import how_to_go_on, show_result
from orchestrator.cluster.connect import Place
from orchestrator.commands.claim import write_claim
from orchestrator.commands.manage import annotate, prune, remove, rename
from orchestrator.commands.report import Target, report
from orchestrator.errors import OutputError, SweepNotFoundError, SweepUnreadableError
from orchestrator.export import formats
from orchestrator.folder import results_log, sweep_folder
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import MAX_HISTORY, Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import NOTE, Sweeps, note, open_sweep, size
from orchestrator.running.session import Session
from tests.support.memory import resident_at_most
from tests.support.privileges import give_away, public_folder, without_privileges
from tests.support.sweep_folders import BLOB, BY_KEY, JOBS, made, names_in, row
from worker.job import MAX_TEXT, Mismatch
from worker.redis.limits import MISMATCHES
from worker.settings import Settings

GOOD = row(JOBS[0]).line().encode()
SECOND = row(JOBS[1]).line().encode()
FOREIGN = row(JOBS[1].model_copy(update={"seed": 9})).line().encode()
#: Most memory that reading the results of two jobs may take, in bytes.
MOST_MEMORY = 100 * 2**20


def within(line: bytes, field: bytes, values: bytes, count: int) -> bytes:
    """Return a line with a field of this many values more."""
    return line.replace(b"{", b'{"' + field + b'":[' + b",".join([values] * count) + b"],", 1)


#: Hostile content of `results.jsonl`, after a good row.
BOMBS: dict[str, Callable[[], bytes]] = {
    "objects": lambda: within(SECOND, b"mismatches", b"{}", 400_000),
    "numbers": lambda: SECOND.replace(b"[0.5]", b"[" + b",".join([b"0.5"] * 400_000) + b"]"),
    "wrong types": lambda: SECOND.replace(b"[0.5]", b"[" + b",".join([b"[]"] * 400_000) + b"]"),
    "rows of other jobs": lambda: b"".join(
        FOREIGN.replace(FOREIGN[8:72], b"%064x" % number, 1) for number in range(28_000)
    ),
    "long rows of other jobs": lambda: FOREIGN.replace(b"[0.5]", b"[" + b",".join([b"0.5"] * 100_000) + b"]") * 30,
    "damaged rows": lambda: within(SECOND, b"x", b"[]", 10_000) * 400,
    "no end of line": lambda: bytes(15 * 2**20),
    "a long text": lambda: SECOND.replace(b'"error":null', b'"error":null,"environment":"' + b"x" * 20_000 + b'"'),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_little_and_hides_no_row(tmp_path: Path, bomb: str) -> None:
    folder, neighbour = made(tmp_path), made(tmp_path, "new")
    folder.keep_weights(digest(BLOB), BLOB)
    with (folder.path / "results.jsonl").open("wb") as file:
        file.write(GOOD + BOMBS[bomb]())
    readers = (
        lambda: folder.rows_of(BY_KEY),
        lambda: {found.job: found for found, _ in sibling_results(neighbour, BY_KEY, pytest.fail)},
    )
    with resident_at_most(MOST_MEMORY):
        for read in readers:
            assert list(read()) == [JOBS[0].key]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: os.truncate(path, 8 * 2**30), "more than the rows of 2 jobs can have"),
        (lambda path: os.truncate(path, 17_000_000), "more than the rows of 2 jobs can have"),
        (lambda path: path.write_bytes(b"\n" * 1_000_201), "more than the rows of 2 jobs can have"),
        (lambda path: (path.unlink(), path.symlink_to("/proc/self/pagemap")), "Invalid argument|Not a regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/proc/self/maps")), "Not a regular file"),
    ],
    ids=["sparse", "mostly a hole", "lines", "pagemap", "maps"],
)
def test_a_file_without_an_end_is_refused(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], why: str
) -> None:
    monkeypatch.setattr(results_log, "_SKIPPED_BYTES", 2**24 - 1)
    folder.append(row(JOBS[0]))
    make(folder.path / "results.jsonl")
    with pytest.raises(SweepUnreadableError, match=rf"results\.jsonl cannot be read: {why}"):
        folder.rows_of(BY_KEY)


@pytest.mark.parametrize("data", ["runs/a/data", "/proc/self/cwd/runs/a/data", "//dev/../proc/self/cwd/data"])
def test_a_folder_brings_no_data_set(folder: SweepFolder, tmp_path: Path, data: str) -> None:
    manifest, job = folder.manifest(), JOBS[0].model_copy(update={"dataset": "0" * 64})
    told = manifest.specification.model_copy(update={"data": data})
    with pytest.raises(DatasetError, match="is not an absolute path"):
        load_data(manifest.model_copy(update={"specification": told}), job, tmp_path)


def test_made_up_jobs_that_were_withdrawn_allow_for_little(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_log, "_NUMBER_BYTES", 10**5)
    folder.known, path = frozenset(f"{key:064x}" for key in range(10**5)), folder.path / "results.jsonl"
    path.touch()
    os.truncate(path, 2 * 2**30)
    with pytest.raises(SweepUnreadableError, match="more than the rows"):
        folder.rows_of(BY_KEY)


def test_a_torn_line_without_a_beginning_is_closed_without_being_read(folder: SweepFolder) -> None:
    folder.append(row(JOBS[0]))
    os.truncate(folder.path / "results.jsonl", 17_000_000)
    with folder.exclusive():
        folder.append(row(JOBS[1]))
    assert list(folder.rows_of(BY_KEY)) == [JOBS[0].key, JOBS[1].key]
    os.truncate(folder.path / "results.jsonl", 8 * 2**30)
    with resident_at_most(MOST_MEMORY), folder.exclusive():
        pass


def test_the_longest_row_that_may_be_written_can_be_read(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_log, "_FILE_BYTES", 0)
    long, escaped = "\x01" * MAX_TEXT, "\U000e0001"
    texts = {"worker": "😀" + long[:999], "environment": long[:1000], "code": long[:1000], "reused_from": long}
    history = [{"cause": "hung", "worker": "😀" * 300, "started": 1e9}] * MAX_HISTORY
    mismatches = [{"first": "😀" * 64, "second": "😀" * 64, "run": "😀" * 300, "worker": escaped * 300}] * MISMATCHES
    for job in JOBS:
        ended = {"status": "diverged", "error": escaped * MAX_TEXT}
        told = ended | {"history": history, "mismatches": mismatches, "correct": "A" * 2**17}
        folder.append(Row.model_validate(json.loads(row(job).line()) | texts | told))
    rows = folder.rows_of(BY_KEY)
    assert [len(each.history) for each in rows.values()] == [MAX_HISTORY] * 2
    # Those of many jobs are shortened.
    monkeypatch.setattr("orchestrator.folder.rows._SOME_TEXT", 0)
    rows = folder.rows(BY_KEY)
    assert [(len(each.history), len(str(each.error)), each.correct) for each in rows.values()] == [(1, 110, None)] * 2
    assert [max(len(text) for _, text in each.mismatches[0]) for each in rows.values()] == [110] * 2
    assert all(f"{each.worker}{each.history}{each.mismatches}".isascii() for each in rows.values())
    # A single wide character makes each of a text take four bytes.
    assert row(JOBS[0], worker="😀" + "a" * 999).text_bytes > row(JOBS[0], worker="a" * 1000).text_bytes + 2900
    assert row(JOBS[0], correct="A" * 2**17).text_bytes > 2**17


def test_what_made_a_row_is_one_line() -> None:
    found = row(JOBS[0], code="a\nb", environment="a\nb")
    assert (found.code, found.environment) == ("a\\nb", "a\\nb")
    assert Mismatch(first="1", second="2", run="r", worker="a\nb").worker == "a\\nb"


def test_a_link_that_leads_out_of_the_folder_is_not_read(folder: SweepFolder, tmp_path: Path) -> None:
    folder.logs.mkdir()
    (tmp_path / "private").write_text("secret")
    for name, target in ((NOTE, "../private"), ("logs/a.log", "../../private"), ("logs/b.log", "b.log")):
        (folder.path / name).symlink_to(target)
    assert (note(folder.path), folder.log("a"), folder.log("b")) == ("", None, None)


@pytest.mark.parametrize("name", ["sweep.json", "results.jsonl", "weights", "leaderboard.json"])
def test_a_sweep_is_not_read_through_a_link_that_leads_out_of_its_folder(
    folder: SweepFolder, tmp_path: Path, name: str
) -> None:
    folder.finish({}, [], "", '{"verdict": {"sentence": "private"}, "status": "succeeded"}')
    (folder.path / name).rename(tmp_path / "private")
    (folder.path / name).symlink_to("../private")
    if name == "leaderboard.json":
        assert summary.summary(folder.path).sentence != "private"
        return
    with pytest.raises(SweepUnreadableError, match=f"{name} cannot be read: A link out of its folder"):
        folder.manifest()


def test_what_takes_the_place_of_a_folder_is_not_read(
    folder: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a private sweep, which a stranger puts in the place of his own once that was found to be no link
    private = made(tmp_path / "private", "b", JOBS[0])
    private.keep(NOTE, "secret")
    found = Sweeps(folder.path.parent).folder("a")
    folder.path.rename(tmp_path / "before")
    folder.path.symlink_to(private.path)
    assert (summary.summary(found.path, found.real).note, note(found.real), found.log("x")) == ("", "", None)
    for read in (found.manifest, lambda: found.rows_of(BY_KEY), lambda: Sweep.read(found)):
        with pytest.raises(SweepUnreadableError, match=r"something else has taken|folder was moved or replaced"):
            read()
    # Or who exchanges a folder on the way after the file was looked at
    inside, check = tmp_path / "before" / "inside", files._check
    inside.mkdir()
    (inside / NOTE).write_text("own")
    (tmp_path / "before" / NOTE).symlink_to(f"inside/{NOTE}")

    def exchanged(*arguments: Any) -> None:
        check(*arguments)
        if not inside.is_symlink():
            inside.rename(tmp_path / "gone")
            inside.symlink_to(private.path)

    assert note(tmp_path / "before") == "own"
    monkeypatch.setattr(files, "_check", exchanged)
    assert note(tmp_path / "before") == ""


def test_what_takes_the_place_of_a_folder_is_not_written(folder: SweepFolder, tmp_path: Path) -> None:
    # Given a sweep of this user, and one of a stranger who exchanges folders once they were found to be no links
    own = made(tmp_path / "own", "b", JOBS[0])
    own.keep_log("x", "own")
    before = {path: path.read_bytes() for path in own.path.rglob("*") if path.is_file()}
    swept = Sweep.read(folder)
    folder.keep_weights(digest(BLOB), BLOB)
    with folder.exclusive():
        for each, writes in (
            (
                folder.weights_folder,
                [lambda: folder.drop_weights(digest(BLOB)), lambda: folder.keep_weights(digest(b"x"), b"x")],
            ),
            (folder.logs, [lambda: folder.keep_log("x", "stranger's")]),
        ):
            each.mkdir(exist_ok=True)
            each.rename(tmp_path / each.name)
            each.symlink_to(own.path / each.name)
            for write in writes:
                with pytest.raises(OutputError, match="Not a directory"):
                    write()
    folder.path.rename(tmp_path / "before")
    folder.path.symlink_to(own.path)
    for write in (lambda: folder.keep(NOTE, "text"), lambda: folder.append(row(JOBS[0])), lambda: report(swept)):
        with pytest.raises(OutputError, match="Its folder was moved or replaced"):
            write()
    # Nor is anything written into what was exchanged before its path was resolved, and is no sweep.
    (tmp_path / "c").mkdir()
    with pytest.raises(SweepNotFoundError):
        SweepFolder(tmp_path, "c").keep(NOTE, "text")
    assert not names_in(tmp_path / "c")
    # Nor what takes it while something is written.
    folder.path.unlink()
    (tmp_path / "before").rename(folder.path)
    with folder.writing() as opened:
        folder.path.rename(tmp_path / "before")
        folder.path.symlink_to(own.path)
        (opened / "new").touch()
    assert (tmp_path / "before" / "new").exists()
    assert before == {path: path.read_bytes() for path in own.path.rglob("*") if path.is_file()}


def test_a_folder_above_may_be_renamed_while_a_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    folder = made(Path("runs"))
    with folder.exclusive():
        (tmp_path / "project").rename(tmp_path / "renamed")
        folder.keep_weights(digest(BLOB), BLOB)
        folder.append(row(JOBS[0]))
        assert (len(folder.rows_of(BY_KEY)), folder.weights(JOBS[0], digest(BLOB))) == (1, BLOB)


def _exchanging(monkeypatch: pytest.MonkeyPatch, where: object, name: str, folder: Path, other: Path) -> None:
    """Put a link to another folder in the place of a folder when a function is called."""
    function = getattr(where, name)

    def exchanged(*arguments: Any, **more: Any) -> Any:
        if not folder.is_symlink():
            folder.rename(folder.with_name("before"))
            folder.symlink_to(other)
        return function(*arguments, **more)

    monkeypatch.setattr(where, name, exchanged)


@pytest.mark.parametrize("change", [remove, lambda folder: rename(folder, "b")], ids=["rm", "mv"])
def test_only_the_folder_that_is_locked_is_removed_or_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[SweepFolder], object]
) -> None:
    private, folder = made(tmp_path / "private"), made(tmp_path / "runs")
    _exchanging(monkeypatch, sweep_folder, "real", folder.path.parent, private.path.parent)
    with pytest.raises(OutputError, match=r"has taken its name|was moved or replaced"):
        change(folder)
    assert (names_in(tmp_path / "private"), private.manifest().name) == (["a"], "a")


@pytest.mark.parametrize("link", [None, "b", "runs/b"])
def test_a_sweep_or_a_link_to_it_is_renamed_and_removed_also_without_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str | None
) -> None:
    monkeypatch.setattr(files, "_OPENED", tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    folder = made(tmp_path / "runs")
    if link:
        (tmp_path / "runs" / "b").symlink_to(folder.path)
        folder = open_sweep(link, Path("runs"))
    renamed = rename(folder, "c")
    assert renamed.manifest().name == "a"
    remove(renamed)
    assert names_in(tmp_path / "runs") == (["a"] if link else [])


def test_a_claim_is_written_into_the_folder_that_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, folder = made(tmp_path / "private"), made(tmp_path / "runs", "a", *JOBS)
    private.keep("claim.json.sig", "-----BEGIN SSH SIGNATURE-----")
    _exchanging(monkeypatch, Claim, "as_bytes", folder.path, private.path)
    with pytest.raises(OutputError, match="Its folder was moved or replaced"):
        write_claim(folder)
    assert "claim.json" not in names_in(private.path)
    assert "claim.json.sig" in names_in(private.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_temporary_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", lambda path, *mode: (make(path, *mode), os.chown(path, 1234, -1)))
    with pytest.raises(OSError, match="something else has taken its name"), files.temporary_folder(tmp_path / "a"):
        pass
    assert names_in(tmp_path) == []


def test_what_an_export_or_a_report_replaces_is_what_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder that is exchanged for a private one once it was looked at
    private, shown = tmp_path / "private", tmp_path / "shown"
    private.mkdir()
    (private / "a").write_text("precious")

    def late(look: Any) -> Any:
        def looked(*arguments: Any, **more: Any) -> None:
            shown.unlink(missing_ok=True)
            shown.mkdir()
            look(*arguments, **more)
            shown.rmdir()
            shown.symlink_to(private)

        return looked

    monkeypatch.setattr(formats, "refuse_taken", late(formats.refuse_taken))
    with pytest.raises(OutputError, match="exists"), formats.staged([shown / "a"], replace=False) as (path,):
        path.touch()
    shown.rmdir()
    shown.symlink_to(private)
    monkeypatch.setattr(Target, "check", late(Target.check))
    with pytest.raises(OutputError, match="is not a report"):
        Target("The report", "a report", b"<").write(shown / "a", b"<", Sweep.read(made(tmp_path)), Path("/"))
    assert (private / "a").read_text() == "precious"


def test_a_sweep_begins_only_in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = made(tmp_path / "runs", "private")
    make = Path.mkdir

    def exchanged(path: Path, *arguments: Any, **more: Any) -> None:
        make(path, *arguments, **more)
        if path.name.endswith(".new"):
            private.path.rename(path)

    monkeypatch.setattr(Path, "mkdir", exchanged)
    with pytest.raises(OutputError, match="something else has taken its name"):
        made(tmp_path / "runs")
    (left,) = (tmp_path / "runs").iterdir()
    assert names_in(left) == ["sweep.json", "weights"]


def test_what_takes_the_place_of_the_folder_that_was_named_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given folders that are exchanged after a command has found them
    folder, private, nothing = made(tmp_path / "runs", "a", *JOBS), made(tmp_path / "private"), tmp_path / "nothing"
    tmp_path.chmod(0o777)
    sweeps, swept = Sweeps(tmp_path / "runs"), Sweep.read(folder)
    again = Sweeps(sweeps.output, None, json.loads(json.dumps(sweeps.first)))
    folder.path.rename(tmp_path / "away")
    private.path.rename(folder.path)
    for change in (
        remove, lambda each: rename(each, "b"), lambda each: prune(each, "none"), lambda each: annotate(each, "text"),
        lambda _: report(swept),
    ):  # fmt: skip
        with pytest.raises(OutputError, match="something else has taken its name"):
            change(folder)
    with pytest.raises(SweepUnreadableError, match="something else has taken its name"):
        folder.manifest()
    assert names_in(folder.path) == ["sweep.json", "weights"]
    (folder.path / "sweep.json").unlink()
    with pytest.raises(SweepNotFoundError, match=r"the folder has no sweep\.json"):
        remove(SweepFolder(tmp_path / "runs", "a"))
    nothing.mkdir()
    _exchanging(monkeypatch, sweep_folder, "temporary_folder", tmp_path / "runs", nothing)
    with pytest.raises(OutputError, match="Its folder was moved or replaced"):
        made(tmp_path / "runs", "new")
    assert (names_in(nothing), names_in(tmp_path / "before")) == ([], ["a", "new"])
    for look in (sweeps.names, sweeps.check, lambda: again.folder("a")):
        with pytest.raises(SweepUnreadableError, match="Its folder was moved or replaced"):
            look()
    late = SweepFolder(nothing, "late")
    nothing.rename(tmp_path / "elsewhere")
    nothing.mkdir()
    with pytest.raises(OutputError, match="a folder above was replaced"), late.exclusive(swept.manifest):
        pass


@pytest.mark.parametrize(("others", "is_private"), [([], True), (["ann"], False)])
def test_a_group_is_also_of_those_whose_first_group_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: list[str], is_private: bool
) -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(grp, "getgrgid", lambda _gid: grp.struct_group((own, "x", 4242, [])))
    monkeypatch.setattr(
        pwd, "getpwall", lambda: [pwd.struct_passwd((name, "x", 1, 4242, "", "", "")) for name in others]
    )
    assert files._is_own_group.__wrapped__(4242) == is_private


def test_a_folder_as_deep_as_it_may_be_is_measured(tmp_path: Path) -> None:
    # Deeper than calls may be nested, and shorter than a path may be.
    deep = tmp_path.joinpath(*["a"] * 1200)
    for path in reversed([deep, *deep.parents][:1200]):
        path.mkdir()
    (deep / "file").write_bytes(bytes(7))
    assert size(tmp_path) == 7
    (deep / "file").unlink()
    for path in [deep, *deep.parents][:1200]:
        path.rmdir()


def test_a_verdict_of_megabytes_costs_little(folder: SweepFolder) -> None:
    folder.append(row(JOBS[0]))
    text = '{"sentence": "' + "a" * 15_000_000 + '"' + '"status": "succeeded",  "score":}'
    (folder.path / "leaderboard.json").write_text(text)
    with resident_at_most(MOST_MEMORY):
        assert len(summary.summary(folder.path).sentence) == 10_000


def test_a_time_of_no_year_is_none(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for time in (1e12, -1e12, 1e300):
        monkeypatch.setattr(summary, "changed_at", lambda *_names, time=time: time)
        assert summary.summary(folder.path).changed == ""


def test_weights_larger_than_the_jobs_are_not_read(folder: SweepFolder) -> None:
    folder.keep_weights(digest(BLOB), BLOB)
    os.truncate(folder.weights_path(digest(BLOB)), 2**30)
    before = int(Path("/proc/self/io").read_text().split()[1])
    assert folder.weights_fault(JOBS[0], digest(BLOB)) == "damaged"
    assert not folder.has_weights(JOBS[0], row(JOBS[0]))
    assert int(Path("/proc/self/io").read_text().split()[1]) - before < 2**20


def nan() -> bytes:
    whole = from_safetensors(BLOB)
    return to_safetensors(Weights(whole.W1 * np.float32("nan"), whole.W2, whole.W3))


#: Rows that are another job's, under the key of a wanted one.
CHANGED: list[dict[str, Any]] = [
    {"seed": 77},
    {"options": JOBS[0].options.model_copy(update={"learning_rate": 0.5})},
    {"options": JOBS[0].options.model_copy(update={"epochs": 2})},
    {"options": JOBS[0].options.model_copy(update={"hidden_layer_sizes": (64, 64)})},
    {"validation_score": [0.5, 0.6], "epoch_seconds": [0.25, 0.25]},
    {"others": {"notebook_accuracy": [1.0]}},
]


@pytest.mark.parametrize(
    ("blob", "changes"),
    [*((blob, {}) for blob in (b"junk", BLOB[:-4], nan())), *((BLOB, each) for each in CHANGED)],
    ids=["junk", "torn", "not a number", *map(str, CHANGED)],
)
def test_a_forged_row_is_neither_kept_nor_reused(tmp_path: Path, blob: bytes, changes: dict[str, Any]) -> None:
    # Given a sweep in which a row names weights to which no job trains, or is another job's
    folder, neighbour = made(tmp_path), made(tmp_path, "new")
    for content in (blob, BLOB):
        folder.keep_weights(digest(content), content)
    folder.append(row(JOBS[0], blob).model_copy(update=changes))
    folder.append(row(JOBS[1]))
    # Then it counts neither for the sweep itself nor for one beside it.
    resumed = Session(folder, folder.manifest(), dict(BY_KEY), Place(Settings()))
    resumed.keep_own()
    assert list(resumed.rows) == [JOBS[1].key]
    said: list[str] = []
    beside = Session(neighbour, neighbour.manifest(), dict(BY_KEY), Place(Settings()))
    beside.reuse_siblings(said.append)
    assert list(beside.rows) == [JOBS[1].key]
    assert said[:1] == [
        f"1 is reused from other sweeps: 1 from {folder.path}; to train them again and compare: "
        f"orchestrator verify new --all --output {tmp_path}"
    ]
    folder.path.chmod(0o777)
    assert resumed.doubts[-1].startswith(f"Other users can write to {folder.path}. Its 1 row may be theirs; ")


def test_weights_that_are_not_a_number_are_those_of_a_job_that_diverged(tmp_path: Path) -> None:
    folder, blob = made(tmp_path), nan()
    folder.keep_weights(digest(blob), blob)
    assert folder.has_weights(JOBS[0], row(JOBS[0], blob, status="diverged", error="why"))


def test_nothing_is_appended_to_a_file_that_has_another_name(tmp_path: Path, folder: SweepFolder) -> None:
    folder.append(row(JOBS[0]))
    os.link(folder.path / "results.jsonl", tmp_path / "mine")
    with (tmp_path / "mine").open("a") as mine:
        mine.write("a line without an end")
    before = (tmp_path / "mine").read_bytes()
    said = r"a cannot be written: results\.jsonl has 2 hard links; put a copy in its place"
    with pytest.raises(OutputError, match=said), folder.exclusive():
        pass
    with pytest.raises(OutputError, match=said):
        folder.append(row(JOBS[1]))
    assert (tmp_path / "mine").read_bytes() == before


def test_what_was_removed_is_not_said_to_be_kept(folder: SweepFolder) -> None:
    session = Session(folder, folder.manifest(), dict(BY_KEY), Place(Settings()))
    folder.append(row(JOBS[0]))
    assert how_to_go_on(session, ["go", "on"]).startswith("1 of 2 jobs are kept in")
    session.keep_own()
    (shown,) = session.accept(lost_row(JOBS[0], "failed", "it broke"))
    assert (shown.status, session.rows[JOBS[0].key].status, session.unmade) == ("failed", "succeeded", 1)
    # Other weights than those that were lost replace them, with the evidence.
    (shown,) = session.accept(row(JOBS[0], other := nan()))
    assert [(each.first, each.second) for each in shown.mismatches] == [(digest(BLOB), digest(other))]
    assert session.rows[JOBS[0].key] == shown
    whole, said = Sweep.of(folder, session.manifest, BY_KEY, {job.key: row(job) for job in JOBS}), io.StringIO()
    console = Console(file=said, width=200)
    assert [show_result(console, whole, as_json=False, unmade=unmade) for unmade in (0, 1)] == [0, 1]
    assert said.getvalue().endswith("The lost weights of 1 job were not made again. The results stay\n")
    # Lost once more, it keeps the evidence.
    session._lost[JOBS[0].key] = shown
    assert session.accept(row(JOBS[0], other))[0].mismatches == shown.mismatches
    shutil.rmtree(folder.path)
    assert how_to_go_on(session, ["go", "on"]) == (
        f"Nothing is kept in {folder.path}, which was removed or damaged meanwhile"
    )


#: What other users can write of a sweep, the bytes of its first job's weights, whether the user names it for reuse,
#: and then whether its row is reused.
REUSED = {
    "private": (None, BLOB, False, True),
    "its folder is open": ("", BLOB, False, False),
    "its manifest is open": ("sweep.json", BLOB, False, False),
    "its results are open": ("results.jsonl", BLOB, False, False),
    "its weights are open": ("weights", BLOB, False, False),
    "open and named": ("results.jsonl", BLOB, True, True),
    "open and named, with weights of no such job": ("results.jsonl", b"junk", True, False),
    "open and named, without weights": ("results.jsonl", None, True, False),
    "private, without weights": (None, None, False, False),
    "private and named, without weights": (None, None, True, True),
}


@pytest.mark.parametrize(("part", "blob", "is_named", "reused"), REUSED.values(), ids=REUSED)
def test_what_somebody_else_could_have_written_is_reused_if_it_is_named(
    part: str | None, blob: bytes | None, is_named: bool, reused: bool
) -> None:
    with public_folder() as output:
        theirs, mine = made(output, "theirs"), made(output, "new")
        if blob is not None:
            theirs.keep_weights(digest(blob), blob)
        theirs.append(row(JOBS[0], blob or BLOB))
        give_away(output)
        said: list[str] = []
        with without_privileges():
            if part is not None:
                (theirs.path / part).chmod(0o777)
            session = Session(mine, mine.manifest(), dict(BY_KEY), Place(Settings()))
            session.reuse_from = [theirs] if is_named else []
            session.keep_weights("best:1")
            session.reuse_siblings(said.append)
            assert theirs._last_rows is None
            assert [found.reused_from for found in session.rows.values()] == ["theirs"] * reused
            if blob == BLOB and reused:
                assert mine.weights_path(digest(BLOB)).stat().st_nlink == 2
    if reused:
        assert said[:1] == [
            f"1 is reused from other sweeps: 1 from {theirs.path}; to train them again and compare: "
            f"orchestrator verify new --all --output {output}"
        ]
    elif is_named:
        assert said == []
    else:
        which, why = (
            (" without weights", "") if blob is None else ("", ", because other users can write to or rename them")
        )
        told = f"Results{which} of 1 sweep in {output} are not reused{why}: theirs. --reuse-from takes those of one"
        assert said == [told]


def test_only_the_sweeps_that_changed_last_are_reused_and_strangers_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.folder.sweeps.MOST_SWEEPS", 1)
    for age, (name, job) in enumerate((("theirs", JOBS[0]), ("newer", JOBS[0]), ("older", JOBS[1]))):
        other = made(tmp_path, name, job)
        for path in other.path.iterdir():
            os.utime(path, (1e9 - age,) * 2)
    (tmp_path / "theirs").chmod(0o777)
    said: list[str] = []
    folder = made(tmp_path, "new")
    assert [other.name for _, other in sibling_results(folder, BY_KEY, said.append)] == ["newer"]
    assert said == [
        f"Results of 1 of 2 sweeps in {tmp_path} are not reused: the others changed later. "
        "--reuse-from takes those of one",
        f"Results of 1 sweep in {tmp_path} are not reused, because other users can write to or rename them: theirs. "
        "--reuse-from takes those of one",
    ]
    # It is not said if nothing is missing.
    said.clear()
    assert len(list(sibling_results(folder, {JOBS[0].key: JOBS[0]}, said.append))) == 1
    assert said == []


def test_complete_lines_that_are_not_read_are_mentioned(folder: SweepFolder) -> None:
    for content, said in (
        (GOOD, None),
        (GOOD + SECOND[:-9], None),
        (GOOD + SECOND[:-9] + b"\n", "1 line of"),
        (FOREIGN + GOOD.replace(b'"seed":0', b'"seed":7'), "2 lines of"),
        # More epochs than the job has, and another trainer, which is not imported.
        (GOOD.replace(b"[0.5]", b"[0.5,0.5]").replace(b"[0.25]", b"[0.25,0.25]"), "1 line of"),
        (GOOD.replace(b"{", b'{"trainer":"sklearn",', 1), "1 line of"),
        # Answers without a score
        (json.dumps(lost_row(JOBS[0], "failed", "").model_dump() | {"correct": "gA=="}).encode() + b"\n", "1 line of"),
    ):
        (folder.path / "results.jsonl").write_bytes(content)
        # As every command does first.
        folder.manifest()
        folder.rows_of(BY_KEY)
        assert (folder.damage or "None").startswith(str(said))


def test_results_of_other_sweeps_are_found_if_they_are_whole(tmp_path: Path) -> None:
    # Given a sweep with one good row, and one whose weights are missing, and one whose job failed
    made(tmp_path, "other", JOBS[0]).append(row(JOBS[1], b"never stored"))
    made(tmp_path, "failed").append(lost_row(JOBS[1], "failed", "it broke"))
    # Then a sweep beside them gets the good one, and has its own, which may have been withdrawn.
    folder = made(tmp_path, "new", JOBS[1])
    found = sibling_results(folder, BY_KEY, pytest.fail)
    assert [(reused.job, source.name) for reused, source in found] == [(JOBS[1].key, "new"), (JOBS[0].key, "other")]


@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_weights_are_taken_and_no_link_to_them(tmp_path: Path, is_link: bool, mode: int) -> None:
    other, folder = made(tmp_path, "other"), made(tmp_path, "new")
    path = other.path / "elsewhere" if is_link else other.weights_path(digest(BLOB))
    path.write_bytes(BLOB)
    path.chmod(mode)
    if is_link:
        other.weights_path(digest(BLOB)).symlink_to(path)
    folder.take_weights(other, JOBS[0], digest(BLOB))
    # What others can write is copied.
    assert path.stat().st_nlink == (2 if mode == 0o600 else 1)
    path.unlink()
    assert folder.weights_fault(JOBS[0], digest(BLOB)) is None


def test_weights_are_not_taken_through_a_link_out_of_the_folder(tmp_path: Path) -> None:
    other, folder = made(tmp_path, "other"), made(tmp_path, "new")
    (tmp_path / "private").write_bytes(BLOB)
    other.weights_path(digest(BLOB)).symlink_to(tmp_path / "private")
    other.append(row(JOBS[0]))
    assert other.weights_fault(JOBS[0], digest(BLOB)) == "unreadable (A link out of its folder)"
    assert list(sibling_results(folder, BY_KEY, pytest.fail)) == []
    with pytest.raises(WeightsError, match="A link out of its folder"):
        folder.take_weights(other, JOBS[0], digest(BLOB))


def test_a_line_that_names_two_jobs_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a sweep whose lines begin with the key of a wanted job, and hold the row of another one
    other = made(tmp_path, "other")
    other.keep_weights(digest(BLOB), BLOB)
    first = '{"job":"' + JOBS[0].key + '",'
    unwanted = row(JOBS[1].model_copy(update={"seed": 9}))
    for each in (unwanted, row(JOBS[1]), row(JOBS[1])):
        with (other.path / "results.jsonl").open("a") as file:
            file.write(each.line().replace("{", first, 1))
    # Then none counts for either, and their number is bounded as that of other damaged rows.
    assert list(sibling_results(made(tmp_path, "new"), BY_KEY, pytest.fail)) == []
    other.manifest()
    assert other.rows_of(BY_KEY) == {}
    assert "3 lines of" in str(other.damage)
    monkeypatch.setattr(results_log, "_SKIPPED_BYTES", 100)
    with pytest.raises(SweepUnreadableError, match="more than the rows of 2 jobs can have"):
        other.rows(BY_KEY)


@pytest.mark.parametrize(("mode", "reused"), [(0o755, True), (0o777, False), (0o1777, True)])
def test_a_folder_in_which_others_can_rename_sweeps_gives_no_results(tmp_path: Path, mode: int, reused: bool) -> None:
    other = made(tmp_path / "above" / "runs", "other", JOBS[0])
    said: list[str] = []
    (tmp_path / "above").chmod(mode)
    found = list(sibling_results(made(other.path.parent, "new"), BY_KEY, said.append))
    assert (len(found), "because other users can write to or rename them: other" in "".join(said)) == (
        reused,
        not reused,
    )


@pytest.mark.parametrize(
    ("kind", "may", "who", "mask", "is_private"),
    [
        (2, 7, 1234, 7, False), (2, 7, 1234, 5, True), (2, 5, 1234, 7, True), (2, 7, 0, 7, True),
        (2, 7, os.geteuid(), 7, True), (8, 7, 1234, 7, False), (8, 7, 0, 7, True),
    ],
)  # fmt: skip
def test_an_access_control_list_may_let_others_write(
    tmp_path: Path, kind: int, may: int, who: int, mask: int, is_private: bool
) -> None:
    # Given a list that lets a user (2) or a group (8) write, as far as its mask allows
    entries = [(1, 7, -1), (kind, may, who), (4, 5, -1), (16, mask, -1), (32, 0, -1)]
    entries.sort(key=lambda entry: entry[0])
    told = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *each) for each in entries)
    try:
        os.setxattr(tmp_path, "system.posix_acl_access", told)
    except OSError as error:
        pytest.skip(f"no access control lists in {tmp_path}: {error}")
    (tmp_path / "sweep").mkdir()
    assert files.is_private(tmp_path) == files.is_guarded(tmp_path / "sweep") == is_private


def test_links_lead_through_folders_in_which_nobody_else_can_rename(tmp_path: Path) -> None:
    for name in ("private", "open"):
        (tmp_path / name / "sweep").mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "there").symlink_to("../private/sweep")
    for link, target, is_guarded in (
        ("direct", "private/sweep", True), ("up", "private/sweep/../../private/sweep", True),
        ("indirect", "open/there", False), ("end", tmp_path / "open" / "sweep", False), ("none", "nowhere", False),
        ("round", "round", False),
    ):  # fmt: skip
        (tmp_path / link).symlink_to(target)
        assert files.is_guarded(tmp_path / link) == is_guarded, link
    if os.geteuid() == 0:
        for other in ("private", "direct"):
            os.chown(tmp_path / other, 1234, -1, follow_symlinks=False)
            assert not files.is_guarded(tmp_path / "direct")
            os.chown(tmp_path / other, 0, -1, follow_symlinks=False)
        assert files.is_guarded(tmp_path / "direct")
