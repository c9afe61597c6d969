"""Sweep folders as version 0.1.0 wrote them: read as what they mean, or refused, but never misread."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.analysis.leaderboard import leaderboard, to_csv
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.sweeps import sweep_of

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


def folder_with(output: Path, sweep_json: str = SWEEP_JSON) -> SweepFolder:
    (output / "old" / "weights").mkdir(parents=True)
    (output / "old" / "sweep.json").write_text(sweep_json)
    (output / "old" / "results.jsonl").write_text(RESULTS)
    return SweepFolder(output, "old")


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
    assert "".join(row.line() for row in rows.values()) == RESULTS
    assert to_csv(leaderboard(jobs, rows)).splitlines()[0] == (
        "rank,learning_rate,epochs,seeds,mean,std,best,worst,best_seed,best_weights_sha256,diverged,failed,cancelled"
    )


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
