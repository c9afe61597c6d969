"""Sweeps over scikit-learn's estimators with real workers, from the command line to the rows."""

from __future__ import annotations

import hashlib

from tests.support.command_line import CommandLine
from tests.trainers.sklearn_jobs import TRAINER, train

#: A table whose target is whether a number is positive.
TABLE = "a,b,label\n" + "".join(f"{(n * 7) % 20 - 10},{n % 3},{'np'[(n * 7) % 20 >= 10]}\n" for n in range(60))


def sha256(artifact: bytes) -> str:
    return hashlib.sha256(artifact).hexdigest()


def test_a_sweep_over_the_estimators_of_a_table(command_line: CommandLine) -> None:
    (command_line.folder / "table.csv").write_text(TABLE)
    data = TRAINER.load(f"{command_line.folder / 'table.csv'}#label", command_line.folder)

    words = ("--trainer", "sklearn", "--data", "table.csv#label", "--seeds", "3")
    command_line.run("sweep", *words, "--grid", "estimator=SVC,SGDClassifier", "--name", "table")

    rows = command_line.rows("table")
    assert [row["options"]["estimator"] for row in rows] == ["SVC", "SGDClassifier"]
    for row, epochs in zip(rows, (1, 10), strict=True):
        alone = train(data, seed=3, estimator=row["options"]["estimator"])
        assert row["status"] == "succeeded"
        assert row["validation_score"] == alone.values
        assert len(row["epoch_seconds"]) == epochs
        assert row["weights_sha256"] == sha256(alone.trained.artifact)
