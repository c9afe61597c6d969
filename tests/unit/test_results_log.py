"""A sweep's rows and weights, and what survives an interruption."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nn.errors import WeightsError
from nn.weights import digest
from orchestrator.folder.rows import lost_row
from tests.support.sweep_folders import BLOB, JOBS, made, names_in, row


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


def test_a_result_replaces_a_failure_and_never_the_other_way_round(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for new in (lost_row(JOBS[0], "failed", "it broke"), row(JOBS[0]), lost_row(JOBS[0], "failed", "late")):
        folder.append(new)
    assert folder.rows()[JOBS[0].key].status == "succeeded"


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
