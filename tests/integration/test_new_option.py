"""A new option takes its definition: flag, TOML word, job, message, row, leaderboard and table follow from that."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.support.paths import ROOT

DEFINITION = """
    momentum: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the last step that the next one keeps."
    )
"""
PROGRAM = """
import io, json
from pathlib import Path
from rich.console import Console
from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.leaderboard.judgement import Judgement
from orchestrator.analysis.leaderboard.scores import ranked
from orchestrator.analysis.leaderboard.table import to_csv
from orchestrator.cli.main import run
from orchestrator.cli.shared.output import print_leaderboard
from orchestrator.folder.rows import Row, lost_row
from orchestrator.analysis.selection import pick
from orchestrator.sweeps.fields import specification, vocabulary
from orchestrator.sweeps.files import SpecificationFile
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.specification import SweepSpecification
from worker.job import Job

parse = vocabulary().parse

def message(call, *arguments):
    try:
        call(*arguments)
    except InvalidInputError as error:
        return str(error)

Path("sweep.toml").write_text("momentum = 0.5\\nlearning_rates = [0.1]\\nseeds = 3")
made = specification(SpecificationFile(Path("sweep.toml")).values(vocabulary()))
(job,) = made.jobs("0" * 64)
table = io.StringIO()
(other,) = specification(parse({"momentum": "0.25", "learning_rates": "0.1", "seeds": "3"})).jobs("0" * 64)
names = JobNames([job, other])
jobs = {job.key: job, other.key: other}
board = Leaderboard(jobs, "bundled", Judgement(ranked(jobs, {}, names.metric), {}, names))
print_leaderboard(Console(file=table), board)
fields = {"seed": 0, "learning_rate": 0.1, "dataset": "0" * 64}
line = json.loads(lost_row(job, "failed", "it broke").line())
line_before = line | {"options": {name: value for name, value in line["options"].items() if name != "momentum"}}
(unchanged,) = specification(parse({"learning_rates": "0.1", "seeds": "3"})).jobs("0" * 64)
row_before = Row.model_validate_json(json.dumps(line_before | {"job": unchanged.key}))
before = {"seeds": [1], "options": {"epochs": 2}, "grid": {"learning_rate": [0.5]}}
print(json.dumps({
    "job": job.fields(),
    "named": str(job),
    "keys": [Job.parse(fields | more).key for more in ({}, {"momentum": 0.0}, {"momentum": 0.5})],
    "bad job": message(Job.parse, fields | {"momentum": 1}),
    "bad flag": message(parse, {"momentum": "1"}),
    "row": line,
    "row before": [row_before.options.momentum, bool(row_before.of(unchanged)), bool(row_before.of(job))],
    "row matches": [bool(lost_row(job, "failed", "it broke").of(each)) for each in (job, other)],
    "csv": to_csv(board).splitlines(),
    "job name": names.job(other.seed, other.options),
    "picked": pick("a", {job.key: job, other.key: other}, ["momentum=0.25"]) == [other.key],
    "table": table.getvalue(),
    "before": SweepSpecification.model_validate(before).options,
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
    place = text.index("\n    limit: ")
    model.write_text(text[:place] + DEFINITION + text[place + 1 :])
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, _, help_text = done.stdout.partition("\n")
    return {**json.loads(first), "help": " ".join(help_text.split())}


def test_flag_and_toml_word(told: dict[str, Any]) -> None:
    assert "--momentum MOMENTUM[,...] Share of the last step that the next one keeps. [default: 0.0]" in told["help"]
    assert told["job"]["momentum"] == 0.5


def test_messages(told: dict[str, Any]) -> None:
    assert told["bad job"] == "momentum is 1; allowed: a number of at least 0 and less than 1"
    assert told["bad flag"] == "--momentum is '1'; allowed: numbers of at least 0 and less than 1, separated by commas"
    assert told["named"] == "seed=3 learning_rate=0.1 momentum=0.5"
    assert told["job name"] == "seed 3, momentum 0.25"
    assert told["picked"]


def test_rows_leaderboard_and_table(told: dict[str, Any]) -> None:
    assert list(told["row"])[:4] == ["job", "seed", "options", "status"]
    assert told["row"]["options"]["momentum"] == 0.5
    assert told["row matches"] == [True, False]
    assert told["csv"][0].startswith("rank,momentum,n,")
    assert [line[:6] for line in told["csv"][1:]] == ["1,0.5,", "2,0.25"]
    _, common, _, _, heads, _, *rows = told["table"].splitlines()
    assert "learning rate 0.1" in common
    assert "momentum" not in common
    assert heads.split()[:2] == ["rank", "momentum"]
    assert [row.split()[1] for row in rows[:2]] == ["0.5", "0.25"]


def test_keys_and_files_of_before_keep_their_meaning(told: dict[str, Any]) -> None:
    without, at_default, changed = told["keys"]
    from worker.job import Job

    assert without == at_default == Job.parse({"seed": 0, "learning_rate": 0.1, "dataset": "0" * 64}).key
    assert changed != without
    assert told["before"]["momentum"] == 0.0
    # A row that was written without the option means the default: it is a row of the job that has it.
    assert told["row before"] == [0.0, True, False]
