"""A sweep's folder: what it takes, what it refuses, and what survives an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nn.dataset import MNIST_DIGEST
from nn.errors import InvalidInputError, WeightsError
from nn.weights import digest
from orchestrator.errors import OutputError, SweepExistsError, SweepNotFoundError
from orchestrator.provenance import provenance
from orchestrator.reuse import sibling_results
from orchestrator.rows import Row, accepted_row, lost_row
from orchestrator.run_folder import Manifest, RunFolder, free_name
from orchestrator.sweep import SweepSpecification
from worker.job import Job, Result

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


def test_a_sweep_does_not_reuse_itself_or_failures(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.keep_weights(digest(BLOB), BLOB)
    folder.append(row(JOBS[0]))
    other = made(tmp_path, "other")
    other.append(lost_row(JOBS[1], "failed", "it broke"))

    assert list(sibling_results(folder, {job.key: job for job in JOBS})) == []
