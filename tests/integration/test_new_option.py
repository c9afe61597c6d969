"""A new option takes its definition: flag, TOML word, job, message, row, leaderboard and table follow from that."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = """
    momentum: Annotated[float, Option(column=True)] = Field(
        default=0.0, ge=0, lt=1, description="Share of the last step that the next one keeps."
    )
"""
PROGRAM = """
import io, json
from pathlib import Path
from rich.console import Console
from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard import leaderboard, to_csv
from orchestrator.cli.main import run
from orchestrator.cli.output import print_leaderboard
from orchestrator.folder.rows import Row, lost_row
from orchestrator.sweeps.fields import parse, specification
from orchestrator.sweeps.files import read_file
from orchestrator.sweeps.specification import SweepSpecification
from worker.job import Job

def message(call, *arguments):
    try:
        call(*arguments)
    except InvalidInputError as error:
        return str(error)

Path("sweep.toml").write_text("momentum = 0.5\\nlearning_rates = [0.1]\\nseeds = 3")
made = specification(read_file(Path("sweep.toml")))
(job,) = made.jobs("0" * 64)
standings = leaderboard([job], {})
table = io.StringIO()
(other,) = specification(parse({"momentum": "0.25", "learning_rates": "0.1", "seeds": "3"})).jobs("0" * 64)
print_leaderboard(Console(file=table), leaderboard([job, other], {}))
fields = {"seed": 0, "learning_rate": 0.1, "dataset": "0" * 64}
line = json.loads(lost_row(job, "failed", "it broke").line())
line_before = {name: value for name, value in line.items() if name != "momentum"}
(unchanged,) = specification(parse({"learning_rates": "0.1", "seeds": "3"})).jobs("0" * 64)
row_before = Row.model_validate_json(json.dumps(line_before | {"job": unchanged.key}))
print(json.dumps({
    "job": job.model_dump(),
    "named": str(job),
    "keys": [Job.parse(fields | more).key for more in ({}, {"momentum": 0.0}, {"momentum": 0.5})],
    "bad job": message(Job.parse, fields | {"momentum": 1}),
    "bad flag": message(parse, {"momentum": "1"}),
    "row": line,
    "row before": [row_before.momentum, row_before.is_of(unchanged), row_before.is_of(job)],
    "row matches": [lost_row(job, "failed", "it broke").is_of(each) for each in (job, other)],
    "csv": to_csv(standings).splitlines(),
    "table": table.getvalue(),
    "before": SweepSpecification.model_validate({"seeds": [1], "learning_rates": [0.5], "epochs": 2}).options,
}))
run(["sweep", "--help"])
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program prints on a copy of the sources in which one option was defined, and nothing else changed."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("nn", "worker", "orchestrator"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("data", "__pycache__"))
    model = copy / "nn" / "options" / "network.py"
    text = model.read_text()
    end = text.index("\n\n\ndef check_options")
    model.write_text(text[:end] + DEFINITION + text[end:])
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, _, help_text = done.stdout.partition("\n")
    return {**json.loads(first), "help": " ".join(help_text.split())}


def test_flag_and_toml_word(told: dict[str, Any]) -> None:
    assert "--momentum <str> Share of the last step that the next one keeps. [default: 0.0]" in told["help"]
    assert told["job"]["momentum"] == 0.5


def test_messages(told: dict[str, Any]) -> None:
    assert told["bad job"] == "momentum is 1; allowed: a number of at least 0 and less than 1"
    assert told["bad flag"] == "--momentum is '1'; allowed: numbers of at least 0 and less than 1, separated by commas"
    assert told["named"] == "seed=3, learning_rate=0.1, epochs=10, momentum=0.5"


def test_rows_leaderboard_and_table(told: dict[str, Any]) -> None:
    assert list(told["row"])[:6] == ["job", "seed", "learning_rate", "epochs", "momentum", "status"]
    assert told["row matches"] == [True, False]
    assert told["csv"][0].startswith("rank,learning_rate,epochs,momentum,seeds,")
    assert told["csv"][1].startswith("1,0.1,10,0.5,0,")
    heads, _, *rows = told["table"].splitlines()[2:]
    assert heads.split()[:4] == ["rank", "learning", "rate", "momentum"]
    assert [row.split()[2] for row in rows[:2]] == ["0.5", "0.25"]


def test_keys_and_files_of_before_keep_their_meaning(told: dict[str, Any]) -> None:
    without, at_default, changed = told["keys"]
    from worker.job import Job

    assert without == at_default == Job.parse({"seed": 0, "learning_rate": 0.1, "dataset": "0" * 64}).key
    assert changed != without
    assert told["before"]["momentum"] == 0.0
    # A row that was written without the column means the default: it is a row of the job that has it.
    assert told["row before"] == [0.0, True, False]
