"""What else trainers report: further metrics, by which sweeps can be ranked, and that a job has stopped early."""

import csv
import json
from collections.abc import Callable

import pytest

import seedsweep
from nn.errors import InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.export.jobs import series_of
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.command_line import CommandLine
from tests.support.in_process import InProcess
from tests.support.own_trainer import found_by_commands

#: By the accuracy, rate 1 is the best; by the log loss, rate 2; by that of the best epoch, rate 1 again.
SOURCE = """
import random
from tests.trainers import broken
from seedsweep import Metric, Trained

class Own(broken.Honest):
    name = "own"

    def others(self, options):
        return (Metric(name="log loss", higher_is_better=False), Metric(name="top, 2", is_share=True))

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        noise = random.Random(seed).uniform(-0.01, 0.01)
        leads = options.rate == 1
        for loss in (0.1 if leads else 0.6, 0.5 if leads else 0.3):
            on_epoch(0.9 + noise if leads else 0.8 + noise, None, {"log loss": loss + noise, "top, 2": 0.99})
        return Trained(artifact=b"%d" % seed)
"""
SWEEP = ("--trainer", "own", "--set", "epochs=2", "--grid", "rate=1,2", "--name", "a")
BY_LOSS = ("--metric", "log loss")
ALLOWED = "a metric that every job has: accuracy, log loss, top, 2\n"
KINDS = "allowed: last, best, or mean-K with K from 1 to 100000 epochs; or "

own = found_by_commands("own", SOURCE, "Own")
stops = found_by_commands("stops", "from tests.trainers.broken import Stops", "Stops")


def told_in(here: InProcess) -> Callable[..., str]:
    def told(command: str, *words: str, status: int = 0) -> str:
        printed = here.run(command, "a", *words, status=status)
        return printed.out if status == 0 else printed.err

    return told


def test_every_judgement_can_be_by_another_metric(
    command_line: CommandLine, here: InProcess, own: dict[str, str]
) -> None:
    command_line.run("sweep", *SWEEP, "--seeds", "0-4", **own)
    told = told_in(here)
    assert told("leaderboard").startswith("Use rate 1: it is the best of 2.\n")
    by_loss = told("leaderboard", *BY_LOSS, "--columns", 'accuracy,"top, 2"')
    assert by_loss.startswith("Use rate 2: it is the best of 2.\n")
    assert "Log loss after the last epoch (lower is better)\n" in by_loss
    headings, _, first, second = by_loss.partition("\n\n")[2].splitlines()[:4]
    assert headings.endswith("accuracy, %   top, 2, %")
    assert [row.split()[i] for row in (first, second) for i in (0, 1, -2, -1)] == [
        "1", "2", "79.96", "99.00", "2", "1", "89.96", "99.00"
    ]  # fmt: skip
    assert told("leaderboard", "--metric", "log loss:best").startswith("Use rate 1: ")
    assert told("leaderboard", "--metric", "accuracy") == told("leaderboard")
    found = json.loads(told("leaderboard", *BY_LOSS, "--json"))
    assert (found["common"]["scoring"], found["common"]["higher_is_better"]) == ("log loss:last", False)
    assert {name: round(mean, 3) for name, mean in found["rows"][0]["metrics"].items()} == {
        "accuracy": 0.8, "log loss": 0.3, "top, 2": 0.99
    }  # fmt: skip
    assert told("leaderboard", "--csv").splitlines()[0].endswith(',metrics.accuracy,metrics.log loss,"metrics.top, 2"')
    assert told("compare", "rate=1", "rate=2", *BY_LOSS).startswith("Decided: rate 2 is better than rate 1 by 0.2 ± 0.")
    assert "mean log loss over the seeds" in told("plot", "curves", *BY_LOSS)
    told("report", *BY_LOSS)
    assert "Use rate 2: it is the best of 2." in (command_line.folder / "runs/a/report.html").read_text()
    sweep = Sweep.read(SweepFolder(here.runs, "a"))
    row = next(iter(sweep.rows.values()))
    assert {*series_of(sweep, row)} == {"accuracy", "log loss", "top_ 2"}
    alike = row.model_copy(update={"others": {"accuracy": [1.0], "a,b": [2.0], "a_b": [3.0]}})
    assert [*series_of(sweep, alike)] == ["accuracy", "accuracy_2", "a_b", "a_b_2"]
    # What is known needs no race. One that is needed is by a metric, too, and says so to those that come later.
    terms = (*BY_LOSS, "--within", "0.001", "--budget", "10")
    assert "Use rate 2: it is the best of 2.\n" in told("decide", *terms)
    told("rm", "--yes")
    command_line.run("sweep", *SWEEP, "--seeds", "0", **own)
    raced = command_line.run("decide", "a", *terms, **own).stdout
    assert "Use rate 2: it is the best of 2.\n" in raced
    (look,) = command_line.description("a")["looks"]
    assert (look["command"], look["within"], look["metric"]) == ("decide", 0.001, "log loss:last")
    verdicts = (json.loads(told("leaderboard", *by, "--json"))["verdict"] for by in ((), BY_LOSS))
    assert [(each["within"], each["leader"]) for each in verdicts] == [(None, {"rate": 1.0}), (0.001, {"rate": 2.0})]
    # Names that no job has are refused.
    assert told("leaderboard", "--metric", "logloss", status=2).endswith(f"is 'logloss'; {KINDS}{ALLOWED}")
    for command in ("plot", "report"):
        assert told(command, "--metric", "", status=2).endswith(f"is ''; {KINDS}{ALLOWED}")
    assert told("leaderboard", "--columns", "loss", status=2).endswith(f"--columns is 'loss'; allowed: {ALLOWED}")
    swept = seedsweep.open(command_line.folder / "runs/a")
    assert swept.leaderboard("log loss").verdict.leader == {"rate": 2.0}
    assert swept.compare("rate=1", "rate=2", metric="log loss").better.words == "rate=2"  # type: ignore[union-attr]
    with pytest.raises(InvalidInputError, match=r"metric is 'loss'; allowed"):
        swept.plot(metric="loss")


def test_a_sweep_remembers_by_which_metric_it_is_judged(
    command_line: CommandLine, here: InProcess, own: dict[str, str]
) -> None:
    assert here.refused("sweep", *SWEEP, "--metric", "logloss").endswith(f"is 'logloss'; {KINDS}{ALLOWED}")
    assert not (command_line.folder / "runs/a").exists()
    told = told_in(here)

    def leader() -> object:
        return command_line.board("a")["verdict"]["leader"]

    assert "\nUse rate 2: it is the best of 2.\n" in command_line.run("sweep", *SWEEP, *BY_LOSS, **own).stdout
    assert leader() == {"rate": 2.0}
    assert told("leaderboard").startswith("Use rate 2: it is the best of 2.\n")
    assert told("leaderboard", "--metric", "last").startswith("Use rate 1: it is the best of 2.\n")
    told("report")
    assert "Use rate 2: it is the best of 2." in (command_line.folder / "runs/a/report.html").read_text()
    assert "Use rate 2" in here.run("list").out
    assert "Use rate 2: it is the best of 2.\n" in told("decide", "--within", "0.001", "--budget", "10")
    # A confirmation of another leader is not the one before.
    confirm = ("confirm", "a", "--top", "1", "--fresh", "2")
    assert "\nUnder fresh seeds, rate 2 has 0.3" in command_line.run(*confirm, **own).stdout
    by_accuracy = command_line.run(*confirm, "--metric", "accuracy", **own).stdout
    assert "\nUnder fresh seeds, rate 1 has 8" in by_accuracy
    swept = seedsweep.open(command_line.folder / "runs/a")
    assert swept.best().job.options.model_dump()["rate"] == 2.0
    again = seedsweep.sweep(name="a", output=command_line.folder / "runs", resume=True, metric="last")
    assert again.verdict.leader == leader() == {"rate": 1.0}
    looks = command_line.description("a")["looks"]
    assert [look["command"] for look in looks] == ["decide", "confirm", "confirm", "resume"]
    assert told("leaderboard").startswith("Use rate 1: ")


STOPPING = ("--trainer", "stops", "--seeds", "0-3", "--grid", "rate=0.00001,0.1", "--set", "epochs=20")


def test_jobs_that_stop_succeed_with_fewer_epochs(
    command_line: CommandLine, here: InProcess, stops: dict[str, str]
) -> None:
    done = command_line.run("sweep", *STOPPING, "--name", "a", **stops).stdout
    found = command_line.rows("a")
    short = [row for row in found if row["options"]["rate"] == 0.1]
    assert {row["status"] for row in found} == {"succeeded"}
    assert {row["stopped"] for row in short} == {"nine of ten are right"}
    assert all(len(row["validation_score"]) < 20 and row["validation_score"][-1] >= 0.9 for row in short)
    assert ", stopped (nine of ten are right)\n" in done
    assert "stopped" in next(line for line in done.splitlines() if line.lstrip().startswith("rank"))
    epochs = sorted(len(row["validation_score"]) for row in short)
    assert f" {len(short)} (epochs {epochs[0]} to {epochs[-1]})" in done
    # They can be trained again, drawn, exported and reused.
    assert "Verified: 8 jobs" in command_line.run("verify", "a", "--all", **stops).stdout
    for words in (("report",), ("plot", "curves"), ("leaderboard", "--metric", "mean-5"), ("export", "--to", "csv")):
        here.run(words[0], "a", *words[1:])
    with (command_line.folder / "a.csv").open(newline="") as file:
        exported = list(csv.DictReader(file))
    assert {row["stopped"] for row in exported if row["rate"] == "0.1"} == {"nine of ten are right"}
    assert {row["code"].partition(", files ")[0] for row in exported} == {"stops 1.0"}
    assert "reused 8" in command_line.run("sweep", *STOPPING, "--name", "b", **stops).stdout
    # A longer job does not go on from them.
    command_line.run("extend", "a", "--epochs", "30", **stops)
    longer = [row for row in command_line.rows("a") if row["options"] == short[0]["options"] | {"epochs": 30}]
    assert sorted(row["weights_sha256"] for row in longer) == sorted(row["weights_sha256"] for row in short)
    assert {len(row["validation_score"]) for row in longer} == {len(row["validation_score"]) for row in short}
