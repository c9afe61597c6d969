"""Results of other sweeps: what is reused, and what counts as absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn.weights import digest
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import lost_row
from tests.support.sweep_folders import BLOB, BY_KEY, JOBS, made, row


def test_results_of_other_sweeps_are_found_if_they_are_whole(tmp_path: Path) -> None:
    # Given a sweep with one good row, and one whose weights are missing, and one whose job failed
    other, failed, folder = (made(tmp_path, name) for name in ("other", "failed", "new"))
    other.keep_weights(digest(BLOB), BLOB)
    other.append(row(JOBS[0]))
    other.append(row(JOBS[1], b"never stored"))
    failed.append(lost_row(JOBS[1], "failed", "it broke"))
    # Then a sweep beside them gets the good one, and its own is not another's.
    folder.keep_weights(digest(BLOB), BLOB)
    folder.append(row(JOBS[1]))
    found = sibling_results(folder, BY_KEY, pytest.fail)
    assert [(reused.job, source.name) for reused, source in found] == [(JOBS[0].key, "other")]


@pytest.mark.parametrize("is_link", [False, True])
def test_weights_are_taken_and_no_link_to_them(tmp_path: Path, is_link: bool) -> None:
    other, folder = made(tmp_path, "other"), made(tmp_path, "new")
    path = tmp_path / "elsewhere" if is_link else other.weights_path(digest(BLOB))
    path.write_bytes(BLOB)
    if is_link:
        other.weights_path(digest(BLOB)).symlink_to(path)
    folder.take_weights(other, JOBS[0], digest(BLOB))
    path.unlink()
    assert folder.weights_fault(JOBS[0], digest(BLOB)) is None


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
    found = sibling_results(made(tmp_path, "new"), BY_KEY, pytest.fail)
    assert [reused.job for reused, _ in found] == [JOBS[1].key]
