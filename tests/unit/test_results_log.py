"""A sweep's rows and weights, and what survives an interruption."""

import json
from pathlib import Path

import pytest

from nn.errors import WeightsError
from nn.files import digest
from orchestrator.errors import SweepUnreadableError
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.rounds import Round
from tests.support.privileges import give_away, public_folder, without_privileges
from tests.support.sweep_folders import BLOB, BY_KEY, JOBS, filled, made, names_in, row
from tests.support.sweeps import sweep_of


def test_rows_survive_a_torn_line(folder: SweepFolder) -> None:
    # Given a row, and the beginning of another one, as SIGKILL leaves it.
    folder.append(row(JOBS[0]))
    results = folder.path / "results.jsonl"
    with results.open("ab") as file:
        file.write(row(JOBS[1]).line().encode()[:100])

    # Then the whole row is there, and a row that comes later is not glued to the torn one.
    assert list(folder.rows(BY_KEY)) == [JOBS[0].key]
    with folder.exclusive():
        folder.append(row(JOBS[1]))
    assert list(folder.rows(BY_KEY)) == [JOBS[0].key, JOBS[1].key]
    assert [json.loads(line)["seed"] for line in results.read_text().splitlines()] == [0, 1]


def test_a_torn_line_is_cut_however_long(folder: SweepFolder) -> None:
    folder.append(row(JOBS[0]))
    whole = (folder.path / "results.jsonl").read_bytes()
    for before, torn in ((whole, b"x" * 200_000), (b"", b"x" * 200_000), (whole, b""), (b"", b"")):
        (folder.path / "results.jsonl").write_bytes(before + torn)
        with folder.exclusive():
            assert (folder.path / "results.jsonl").read_bytes() == before


def test_a_result_replaces_a_failure_and_never_the_other_way_round(folder: SweepFolder) -> None:
    for new in (lost_row(JOBS[0], "failed", "it broke"), row(JOBS[0]), lost_row(JOBS[0], "failed", "late")):
        folder.append(new)
    assert folder.rows(BY_KEY)[JOBS[0].key].status == "succeeded"


def test_weights_are_kept_only_if_they_are_what_they_are_called(folder: SweepFolder) -> None:

    folder.keep_weights(digest(BLOB), BLOB)
    for name in (digest(b"other"), "../../escape"):
        with pytest.raises(WeightsError, match="These are not the weights"):
            folder.keep_weights(name, BLOB)

    assert names_in(folder.path / "weights") == [f"{digest(BLOB)}.safetensors"]
    assert folder.weights_fault(JOBS[0], digest(BLOB)) is None
    folder.weights_path(digest(BLOB)).write_bytes(b"damaged")
    assert folder.weights_fault(JOBS[0], digest(BLOB)) == "damaged"


@pytest.mark.parametrize("blob", [b"", b"{}", b"weights", bytes(9), (3).to_bytes(8, "little") + b"{}", BLOB + b"x"])
def test_the_name_of_an_artifact_says_whether_it_is_safetensors(tmp_path: Path, blob: bytes) -> None:
    folder, other, name = made(tmp_path), made(tmp_path, "b"), digest(blob)
    suffix = "safetensors" if blob.startswith(BLOB) else "bin"

    folder.keep_weights(name, blob)
    other.take_weights(folder, JOBS[0], name)

    for each in (folder, other):
        assert names_in(each.path / "weights") == [f"{name}.{suffix}"]
        assert each.weights_fault(JOBS[0], name) is None
    # A damaged file is made whole under the name that it has.
    (folder.path / "weights" / f"{name}.safetensors").write_bytes(b"damaged")
    folder.keep_weights(name, blob)
    assert folder.weights_fault(JOBS[0], name) is None


def test_rows_of_withdrawn_jobs_are_read_for_reuse_alone(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a sweep of which a job was withdrawn whose row is as long as a row can be
    longer = folder.manifest().with_round(Round(kind="extend", seeds=(2,)))
    folder.write_manifest(longer.undone())
    folder.keep_weights(digest(BLOB), BLOB)
    for job in longer.jobs_by_key().values():
        folder.append(row(job))
    size = (folder.path / "results.jsonl").stat().st_size
    monkeypatch.setattr("orchestrator.folder.results_log._FILE_BYTES", size // 3)
    monkeypatch.setattr("orchestrator.folder.results_log._AGAIN_BYTES", 0)
    # Then nothing is damaged, and the row is reused if it fits.
    assert (list(folder.rows_of(BY_KEY)), folder.damage) == (list(BY_KEY), None)
    wanted = {key: job for key, job in longer.jobs_by_key().items() if key not in BY_KEY}
    assert [row.job for row, _ in sibling_results(folder, wanted, pytest.fail)] == list(wanted)
    assert list(sibling_results(folder, wanted, pytest.fail, lambda _row: False)) == []
    # But there is little room for further rows of the other jobs, which are parsed in vain.
    folder.append(*[row(JOBS[0])] * 3)
    with pytest.raises(SweepUnreadableError, match="more than the rows of 2 jobs can have"):
        folder.rows_of(BY_KEY)


def test_one_long_job_makes_no_room_for_repeated_rows_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = filled(tmp_path, sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=(1, 100)), lambda _: None)
    short, long = (jobs := folder.manifest().jobs_by_key()).values()
    folder.append(row(short))
    size = (folder.path / "results.jsonl").stat().st_size
    monkeypatch.setattr("orchestrator.folder.results_log._FILE_BYTES", 3 * size)
    monkeypatch.setattr("orchestrator.folder.results_log._AGAIN_BYTES", 0)
    # The numbers of the long one may be repeated a few times,
    folder.append(*[row(long, scores=(0.5,) * 100)] * 4, *[row(short)] * 2)
    assert len(folder.rows_of(jobs)) == 2
    # but others may not be repeated instead.
    folder.append(*[row(short)] * 3)
    with pytest.raises(SweepUnreadableError, match="more than the rows of 2 jobs can have"):
        folder.rows_of(jobs)


def test_a_sweep_that_cannot_be_read_is_passed_over_for_reuse_and_named() -> None:
    said: list[str] = []
    with public_folder() as output:
        for name in ("b", "c"):
            made(output, name, JOBS[0])
        (output / "c" / "results.jsonl").chmod(0)
        give_away(output)
        with without_privileges():
            found = list(sibling_results(SweepFolder(output, "a"), BY_KEY, said.append))
    assert [(row.job, other.name) for row, other in found] == [(JOBS[0].key, "b")]
    path = output / "c" / "results.jsonl"
    assert said == [f"The results of the sweep c are not reused: {path} cannot be read: Permission denied"]
