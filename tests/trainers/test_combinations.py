"""Which combinations of values a sweep has: without those that a model refuses, zipped, and with conditions."""

import re
import shlex
from pathlib import Path
from typing import Any

import seedsweep
from nn.options.describe import quoted
from orchestrator.analysis.selection import pick
from orchestrator.sweeps.fields import specification, vocabulary
from orchestrator.sweeps.names import JobNames
from tests.support.command_line import CommandLine
from tests.support.own_trainer import found_by_commands, installed

SOURCE = """
from pydantic import Field, model_validator
from tests.trainers import broken

class Options(broken.Options):
    text: str = Field(default="x", description="Any text.")

    @model_validator(mode="after")
    def _together(self):
        if self.penalty is not None and self.rate > 1:
            raise ValueError("with a penalty, rate must be at most 1")
        return self

class Own(broken.Honest):
    name = "own"
    Options = Options
"""
GRID = ("sweep", "--trainer", "own", "--seeds", "0-1", "--name", "a", "--grid", "rate=0.1,2", "--grid")
REFUSED = "orchestrator: the combination is rate=2.0, penalty=0.5; allowed: with a penalty, rate must be at most 1\n"

own = found_by_commands("own", SOURCE, "Own")


def test_an_impossible_combination_is_refused_in_its_authors_words_or_left_out(
    command_line: CommandLine, own: dict[str, str]
) -> None:
    assert command_line.run(*GRID, "penalty=none,0.5", status=2, **own).stderr == REFUSED
    assert not (command_line.folder / "runs").exists()
    done = command_line.run(*GRID, "penalty=none,0.5", "--skip-invalid", **own)
    assert "1 combination of 4 left out as invalid\n" in done.stderr
    assert "jobs 6, accepted 6" in done.stdout
    # Its metric can be shown beside the mean that it ranks by.
    means = command_line.run("leaderboard", "a", "--columns", "accuracy", **own).stdout
    assert re.search(r"  (\d+\.\d\d) .* \1\n", means)
    # The sweep remembers it.
    assert command_line.description("a")["specification"]["skip_invalid"] is True
    again = command_line.run("sweep", "--spec", "runs/a/sweep.json", "--skip-invalid", "--name", "again", **own)
    assert "jobs 6, accepted 6, attempts 0, reused 6" in again.stdout
    assert "jobs 6, accepted 6" in command_line.run("sweep", "--resume", "--name", "a", **own).stdout
    assert "jobs 9, accepted 9" in command_line.run("extend", "a", "--seeds", "2", **own).stdout


def test_when_nothing_can_be_left_out(command_line: CommandLine, own: dict[str, str]) -> None:
    words = ("sweep", "--trainer", "own", "--seeds", "0-1", "--skip-invalid", "--grid")
    for more, said in (
        (("penalty=0.5", "--set", "rate=2"), "--skip-invalid is given; allowed: a sweep with a combination that"),
        (("penalty=0.5,1", "--sampler", "random", "--samples", "2"), "--skip-invalid cannot be combined with a sam"),
        (("penalty=0.5,1", "--grid", "rate=linear:0.1..1:15001"), "at most 30,000 combinations (this one has 30,002)"),
    ):
        assert said in command_line.run(*words, *more, status=2, **own).stderr


def options(command_line: CommandLine, name: str, *names: str) -> list[tuple[Any, ...]]:
    """Return the values of these options in the sweep's configurations, in its order."""
    described = command_line.description(name)
    rows = {row["job"]: row for row in command_line.rows(name)}
    found = [tuple(rows[key]["options"].get(each) for each in names) for key in described["jobs"]]
    return list(dict.fromkeys(found))


def test_zipped_values_go_together(command_line: CommandLine, own: dict[str, str]) -> None:
    words = ("sweep", "--trainer", "own", "--seeds", "0-1", "--zip", "rate=0.1,0.2,0.1", "epochs=1,1,2")
    assert "jobs 6, accepted 6" in command_line.run(*words, "--name", "a", **own).stdout
    assert options(command_line, "a", "rate", "epochs") == [(0.1, 1), (0.2, 1), (0.1, 2)]
    (command_line.folder / "a.toml").write_text(
        "trainer = 'own'\nseeds = '0-1'\nzipped = ['rate,epochs']\n[grid]\nrate = [0.1, 0.2, 0.1]\nepochs = [1, 1, 2]\n"
    )
    for name, spec in (("b", "runs/a/sweep.json"), ("c", "a.toml")):
        assert "reused 6" in command_line.run("sweep", "--spec", spec, "--name", name, **own).stdout
        assert options(command_line, name, "rate", "epochs") == options(command_line, "a", "rate", "epochs")
    assert "jobs 6" in command_line.run(*words, "--resume", "--name", "a", **own).stdout
    refused = command_line.run("extend", "a", "--grid", "rate=3", status=2, **own).stderr
    assert refused.endswith("--grid rate is '3.0'; allowed: nothing, because the values of rate,epochs go together\n")
    assert "jobs 9, accepted 9" in command_line.run("extend", "a", "--seeds", "2", **own).stdout


def test_values_may_exist_only_beside_others(command_line: CommandLine, own: dict[str, str]) -> None:
    grid = ("--grid", "penalty=0.5,1@rate=0.1", "--grid", "rate=0.1,0.2")
    words = ("sweep", "--trainer", "own", "--set", "epochs=1", "--seeds", "0-1", *grid)
    assert "jobs 6, accepted 6" in command_line.run(*words, "--name", "a", **own).stdout
    assert options(command_line, "a", "rate", "penalty") == [(0.1, 0.5), (0.1, 1.0), (0.2, None)]
    assert "reused 6" in command_line.run("sweep", "--spec", "runs/a/sweep.json", "--name", "b", **own).stdout
    given: dict[str, Any] = {"seeds": 2, "epochs": 1, "rate": [0.1, 0.2], "penalty": [0.5, 1.0]}
    swept = seedsweep.sweep(
        trainer="own", output=command_line.folder / "runs", beside="penalty@rate=0.1", progress=False, **given
    )
    assert (len(swept.jobs), swept.accounting.reused) == (6, 6)
    # Further values keep the condition.
    command_line.run("extend", "a", "--grid", "penalty=0.25", **own)
    command_line.run("extend", "a", "--grid", "rate=0.4", **own)
    every = [(0.1, 0.5), (0.1, 1.0), (0.2, None), (0.1, 0.25), (0.4, None)]
    assert options(command_line, "a", "rate", "penalty") == every


def test_commas_in_quotes_belong_to_a_value(command_line: CommandLine, own: dict[str, str]) -> None:
    words = ("sweep", "--trainer", "own", "--set", "epochs=1", "--seeds", "0-1", "--grid", 'text="a, b",c')
    command_line.run(*words, "--name", "a", **own)
    assert options(command_line, "a", "text") == [("a, b",), ("c",)]
    (command_line.folder / "a.toml").write_text("trainer='own'\nseeds='0-1'\nepochs=1\n[grid]\ntext=['a, b', 'c']\n")
    for spec in ("runs/a/sweep.json", "a.toml"):
        assert "jobs 4, accepted 4, attempts 0, reused 4" in command_line.run("sweep", "--spec", spec, **own).stdout
    given: dict[str, Any] = {"seeds": 2, "epochs": 1, "text": ["a, b", "c"], "output": command_line.folder / "runs"}
    assert seedsweep.sweep(trainer="own", progress=False, **given).accounting.reused == 4
    assert "jobs 4" in command_line.run(*words, "--resume", "--name", "a", **own).stdout
    compared = command_line.run("compare", "a", 'text="a, b"', "text=c", status=1, **own).stdout
    assert compared.startswith("Undecided: text a, b has 90.00 % and text c has 90.00 %; ")
    assert command_line.run("show", "a", "seed=0", 'text="a, b"', **own).stdout
    refused = command_line.run("compare", "a", "text='a", "text=c", status=2, **own).stderr
    assert refused == 'orchestrator: B is "text=\'a"; allowed: words whose quotes are closed\n'


def test_a_printed_text_picks_its_jobs(tmp_path: Path) -> None:
    texts = ["a,b", "x", '"x"', 'a"b', "a b", "none"]
    with installed(tmp_path, "own", SOURCE, "Own"):
        words = vocabulary("own")
        planned = words.parse({"trainer": "own", "seeds": "0", "text": ",".join(map(quoted, texts))})
        jobs = specification(planned, words).jobs_by_key("0" * 64)
        names = JobNames(jobs.values())
        for key, job in jobs.items():
            assert pick("a", jobs, shlex.split(names.words(job.options))) == [key]
            assert pick("a", jobs, shlex.split(job.words(["text"]))) == [key]
            # A sweep takes it, too.
            typed = names.picking(job.options)[0].removeprefix("text=")
            assert words.parse({"trainer": "own", "seeds": "0", "text": typed})["text"] == (dict(job.options)["text"],)
    assert len(jobs) == len(texts)
