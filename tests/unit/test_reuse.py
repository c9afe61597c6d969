"""Results of other sweeps: what is reused, and what counts as absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nn.weights import digest
from orchestrator.cluster.connect import Place
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import lost_row
from orchestrator.running.session import Session
from tests.support.sweep_folders import BLOB, BY_KEY, JOBS, made, row
from worker.settings import Settings


def test_results_of_other_sweeps_are_found_with_their_weights(tmp_path: Path) -> None:
    # Given a sweep with one good row, one whose weights are damaged, and one that failed.
    other = made(tmp_path, "other")
    other.keep_weights(digest(BLOB), BLOB)
    other.append(row(JOBS[0]))
    other.append(row(JOBS[1], b"never stored"))

    # When another sweep asks for both jobs, it gets what is whole.
    folder = made(tmp_path, "new")
    wanted = BY_KEY
    found = list(sibling_results(folder, wanted, pytest.fail))
    assert [(reused.job, source.name) for reused, source in found] == [(JOBS[0].key, "other")]

    # And the weights are the same file's bytes, also after the other sweep is gone.
    folder.take_weights(other, JOBS[0], digest(BLOB))
    other.weights_path(digest(BLOB)).unlink()
    assert folder.weights_fault(JOBS[0], digest(BLOB)) is None


def test_weights_behind_a_link_are_taken_and_not_the_link(tmp_path: Path) -> None:
    other, folder = made(tmp_path, "other"), made(tmp_path, "new")
    (tmp_path / "elsewhere").write_bytes(BLOB)
    other.weights_path(digest(BLOB)).symlink_to(tmp_path / "elsewhere")
    folder.take_weights(other, JOBS[0], digest(BLOB))
    (tmp_path / "elsewhere").unlink()
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


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 77},
        {"options": JOBS[0].options.model_copy(update={"learning_rate": 0.5})},
        {"options": JOBS[0].options.model_copy(update={"epochs": 2})},
        {"options": JOBS[0].options.model_copy(update={"hidden_layer_sizes": (64, 64)})},
        {"validation_score": [0.5, 0.6], "epoch_seconds": [0.25, 0.25]},
        {"others": {"notebook_accuracy": [1.0]}},
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
    wanted = BY_KEY
    run = Session(folder, folder.manifest(), wanted, Place(Settings()))
    run.keep_own()
    assert list(run.rows) == [JOBS[1].key]
    assert [found.job for found, _ in sibling_results(made(tmp_path, "new"), wanted, pytest.fail)] == [JOBS[1].key]


def test_a_sweep_does_not_reuse_itself_or_failures(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.keep_weights(digest(BLOB), BLOB)
    folder.append(row(JOBS[0]))
    other = made(tmp_path, "other")
    other.append(lost_row(JOBS[1], "failed", "it broke"))

    assert list(sibling_results(folder, BY_KEY, pytest.fail)) == []
