"""Sweep folders as version 0.1.0 wrote them: read as what they mean, or refused, but never misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import WeightsError
from orchestrator.analysis.leaderboard.board import leaderboard
from orchestrator.analysis.leaderboard.export import to_csv
from orchestrator.analysis.lookup import trained_job
from orchestrator.analysis.selection import pick_one
from orchestrator.commands.sweep import plan_resumption
from orchestrator.commands.verify import plan_verification
from orchestrator.errors import SweepExistsError, SweepNotFoundError
from orchestrator.folder.rows import Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.sweeps import sweep_of
from worker.job import canonical
from worker.settings import Settings

SWEEP_JSON = """\
{
  "name": "old",
  "specification": {
    "seeds": [
      0,
      1
    ],
    "learning_rates": [
      0.01,
      0.03
    ],
    "epochs": 1,
    "hidden": [
      8,
      4
    ],
    "loss": "cross_entropy",
    "rule": "backprop",
    "engine": "compiled",
    "dtype": "float32",
    "shuffle": false,
    "limit": 50,
    "data": "bundled"
  },
  "dataset": "06ad231b5cb27e8034c864ded62b94a7309c64215e0380f3fcb26b6983fc1949",
  "jobs": [
    "ec5a4b6b22fcc5a19a3ecab0cc977bd6a41b9b382ff7c0e2c574a75d85881794",
    "c61129551357ab7018fa7fe38ee622a526bb9c146a3ae0017e5d8cb54d2ec39c",
    "9077562ef374c4e128ad86ec4661316b89db7cd0f1922ede85f63f1a595ceb83",
    "f4537186ede6007ff1c6b54c1dff2cbe339b2c88150d1d67300bcff67b14328d"
  ],
  "provenance": {
    "created": "2026-11-25T01:48:09+00:00",
    "host": "vm",
    "python": "3.11.7",
    "platform": "Linux-6.18.44-x86_64-with-glibc2.41",
    "packages": {
      "seedsweep": "0.1.0",
      "celery": "5.7.0",
      "numpy": "2.4.6"
    },
    "git_commit": "28e5e16a9c98aa0eda0d1179da0279284818eb07",
    "git_dirty": false
  },
  "resumed": []
}
"""
RESULTS = """\
{"job":"ec5a4b6b22fcc5a19a3ecab0cc977bd6a41b9b382ff7c0e2c574a75d85881794","seed":0,"learning_rate":0.01,"epochs":1,\
"status":"diverged","validation_accuracy":[0.11476190476190476],"epoch_seconds":[1.528985288000058],"weights_sha256":\
"b0eb2da49bf61a80fcc21c10ce72f4e1a5403f7305e20f348a8f50108bcc8ba2","attempts":1,"worker":"embedded@vm","error":\
"stuck at chance: the validation accuracy of 11.48 % is no better than always naming the most common class \
(11.48 %)","reused_from":null}
{"job":"c61129551357ab7018fa7fe38ee622a526bb9c146a3ae0017e5d8cb54d2ec39c","seed":0,"learning_rate":0.03,"epochs":1,\
"status":"diverged","validation_accuracy":[0.11476190476190476],"epoch_seconds":[0.0022028959997442144],\
"weights_sha256":"6d5c7636bf920d66995c941ca7c3b20d8ffb26577b4e4066edcee2bfefe702e6","attempts":1,\
"worker":"embedded@vm","error":"stuck at chance","reused_from":null}
"""


#: The keys of the same jobs in float64, of which this version trains others.
FLOAT64 = {
    "ec5a4b6b22fcc5a19a3ecab0cc977bd6a41b9b382ff7c0e2c574a75d85881794":
        "e87388bfd0d0a5f2fe90a5c3e81f0f14d0495689b54bc5ec863f2ff955de8677",
    "c61129551357ab7018fa7fe38ee622a526bb9c146a3ae0017e5d8cb54d2ec39c":
        "2d63bc5c234753304fad569f4489c4c4ba8c38bbee6f6e319290b0f077ddce17",
    "9077562ef374c4e128ad86ec4661316b89db7cd0f1922ede85f63f1a595ceb83":
        "361e3fec419a85f55b14a82aae8938d34c27a562bd17a1e25753b0cc7979d19b",
    "f4537186ede6007ff1c6b54c1dff2cbe339b2c88150d1d67300bcff67b14328d":
        "191bf2996d4b2cb70d222cb1ce8a5fd9c13216120c3da9a9263b635d64171568",
    "float32": "float64",
}  # fmt: skip


def folder_with(output: Path, sweep_json: str = SWEEP_JSON, results: str = RESULTS) -> SweepFolder:
    (output / "old" / "weights").mkdir(parents=True)
    (output / "old" / "sweep.json").write_text(sweep_json)
    (output / "old" / "results.jsonl").write_text(results)
    return SweepFolder(output, "old")


def in_float64(text: str) -> str:
    for old, new in FLOAT64.items():
        text = text.replace(old, new)
    return text


@pytest.fixture
def float64_folder(tmp_path: Path) -> SweepFolder:
    return folder_with(tmp_path, in_float64(SWEEP_JSON), in_float64(RESULTS))


def test_the_specification_is_upgraded_and_gives_the_same_jobs(tmp_path: Path) -> None:
    manifest = folder_with(tmp_path).manifest()

    assert manifest.specification == sweep_of(
        seeds=(0, 1), learning_rates=(0.01, 0.03), epochs=1, hidden=(8, 4), limit=50, data="bundled"
    )
    assert [job.key for job in manifest.specification.jobs(manifest.dataset)] == manifest.jobs
    # Written again, it has the present layout, and the same content.
    assert json.loads(manifest.as_text())["specification"]["grid"] == {"learning_rate": [0.01, 0.03]}
    assert type(manifest).model_validate_json(manifest.as_text()) == manifest


def test_its_rows_are_those_of_its_jobs(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    manifest = folder.manifest()
    jobs = manifest.specification.jobs(manifest.dataset)

    rows = folder.rows_of({job.key: job for job in jobs})

    assert list(rows) == manifest.jobs[:2]
    board = leaderboard({job.key: job for job in jobs}, rows, "bundled")
    assert to_csv(board).splitlines()[0] == (
        "rank,rank_low,rank_high,learning_rate,n,planned,mean,low,high,method,low_new,high_new,contender,p_best,"
        "diverged,diverged_low,diverged_high,failed,cancelled,honest_mean,std,best,worst,best_seed,best_weights_sha256"
    )
    # Written again, a row has the present layout, with all options of its job and the same content otherwise.
    for old, row, job in zip(RESULTS.splitlines(), rows.values(), jobs, strict=False):
        before, now = json.loads(old), json.loads(row.line())
        assert now.pop("options") == json.loads(canonical(job.options.model_dump()))
        assert now.pop("validation_score") == before.pop("validation_accuracy")
        assert now == {name: value for name, value in before.items() if name not in ("learning_rate", "epochs")}


def test_a_row_says_only_what_it_was_told(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    job = folder.manifest().specification.jobs(MNIST_DIGEST)[0]
    row = folder.rows()[job.key]

    # A row of the earlier layout tells two of its options, also after it is written and read again.
    for each in (row, Row.model_validate_json(row.line())):
        assert json.loads(each.line())["options"] == {"learning_rate": 0.01, "epochs": 1}
        whole = each.of(job)
        assert whole is not None
        # It contradicts no job by the others: this one's layers are not the default.
        assert whole.options.hidden_layer_sizes == job.options.hidden_layer_sizes == (8, 4)
    for told, otherwise in (("0.01", "0.02"), ('"epochs":1', '"epochs":2')):
        assert Row.model_validate_json(row.line().replace(told, otherwise)).of(job) is None


def test_a_folder_with_rows_of_both_layouts_loses_none(tmp_path: Path) -> None:
    # Given two rows of the earlier layout, and one that this version appended
    folder = folder_with(tmp_path)
    manifest = folder.manifest()
    jobs = manifest.specification.jobs_by_key(manifest.dataset)
    with folder.exclusive():
        folder.append(lost_row(jobs[manifest.jobs[2]], "failed", "it broke"))
        rows = folder.rows_of(jobs)
        assert list(rows) == manifest.jobs[:3]

        # When the sweep ends, which writes the file again, then the same rows are in it.
        folder.finish(rows, manifest.jobs, "", "")
    assert folder.rows_of(jobs) == folder.rows() == rows


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"epochs": 1', '"epochs": 0', "invalid epochs; allowed: an integer from 1 to 100000"),
        ('"limit": 50', '"momentum": 50', "at specification at momentum: Extra inputs are not permitted"),
        ('"limit": 50', '"options": {}', "at specification at "),
        ('"learning_rates": [', '"rates": [', "at specification at "),
        ("0.03\n", '"fast"\n', "invalid learning_rate; allowed: a finite number greater than 0"),
    ],
)
def test_a_specification_that_cannot_be_upgraded_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    folder = folder_with(tmp_path, SWEEP_JSON.replace(old, new))

    with pytest.raises(SweepNotFoundError, match=r"sweep\.json does not describe a sweep") as caught:
        folder.manifest()
    assert reason in str(caught.value)


def test_a_float64_sweep_is_read_with_the_keys_that_it_had(float64_folder: SweepFolder) -> None:
    manifest = float64_folder.manifest()
    jobs = manifest.jobs_by_key()

    assert list(jobs) == manifest.jobs
    rows = float64_folder.rows_of(jobs)
    assert list(rows) == manifest.jobs[:2]
    assert pick_one("old", jobs, ["0:0.03"]) == manifest.jobs[1]
    assert [str(each.score)[:6] for each in leaderboard(jobs, rows, "bundled").standings[0].jobs] == ["0.1147", "None"]
    # A new sweep of the same specification has other jobs, and reuses none of its rows.
    assert not {job.key for job in manifest.specification.jobs(manifest.dataset)} & jobs.keys()


@pytest.mark.parametrize("plan", [plan_resumption, plan_verification])
def test_a_float64_sweep_is_neither_resumed_nor_verified(plan: Any, float64_folder: SweepFolder) -> None:
    with pytest.raises(SweepExistsError) as caught:
        plan(float64_folder, Settings())
    assert str(caught.value) == (
        "An earlier version of Seedsweep trained the float64 jobs of the sweep old, to other bits than this one: they "
        "cannot be resumed or verified; start the sweep again under another --name"
    )


def test_missing_weights_of_a_float64_sweep_are_not_to_be_had_by_resuming_it(float64_folder: SweepFolder) -> None:
    with pytest.raises(WeightsError, match="is missing: an earlier version of Seedsweep trained them; to have others"):
        trained_job(float64_folder, ["seed=0", "learning_rate=0.01"])


def test_a_float32_sweep_is_both_resumed_and_verified(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)

    assert list(plan_resumption(folder, Settings()).jobs) == folder.manifest().jobs
    assert len(plan_verification(folder, Settings(), jobs=None).jobs) == 2
