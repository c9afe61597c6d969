"""What `--help` says of each command, and what is said about the words themselves, before any command runs."""

import re

import pytest
import typer

from orchestrator.cli.main import COMMANDS, PANELS, app, run, summary
from orchestrator.export.formats import FORMATS
from orchestrator.report.charts.catalogue import KINDS
from tests.support.command_line import SMALL
from tests.support.in_process import InProcess

#: What the help of a command names.
NAMES = {
    "extend": ["--epochs INTEGER[,...]", "--rule backprop|notebook[,...]", "--learning-rates RATE[,...]"],
    "report": [kind.name for kind in KINDS],
    "export": list(FORMATS),
}


def test_the_overview_names_every_command(here: InProcess) -> None:
    overview = here.run("--help").out
    assert here.run("--version").out.startswith("seedsweep ")
    assert "Example: orchestrator sweep " in overview
    assert "..." not in overview.partition("Train:")[2]
    # In panels, in the order of use, and then what the exit status says
    titles = re.findall(r"^(\w[\w ]*):$", overview, re.MULTILINE)
    assert titles == ["Options", *PANELS, "Exit status"]
    assert {name for names in PANELS.values() for name in names} == set(COMMANDS)
    assert re.search(r"^  2 +Wrong use", overview, re.MULTILINE)
    # The bare command prints it line by line.
    bare = here.run(status=2)
    assert (bare.out, "\\n" in bare.err) == ("", False)
    assert bare.err.splitlines()[0] == "Usage: orchestrator [OPTIONS] COMMAND [ARGS]..."
    assert "Train:" in bare.err.splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_with_an_example(command: str, here: InProcess) -> None:
    text = here.run(command, "--help").out
    assert summary(command) in " ".join(text.split())
    assert f"  Example: orchestrator {command} " in text
    # The options in the example are ones that the command has.
    before, _, rest = text.partition("Example: ")
    example, _, after = rest.partition("\n\n")
    options = re.findall(r"--[a-z-]+", example)
    assert all(re.search(rf"(  |, ){option} ", before + after) for option in options)
    assert re.search("  --json .*JSON", after)
    # No option is explained by itself.
    assert f"orchestrator {command} --" not in " ".join(after.split())
    # Fixed values are completed.
    found = typer.main.get_command(app).get_command(None, command)
    context = found.make_context(command, [], resilient_parsing=True)
    for each in found.get_params(context):
        assert "|" not in (each.metavar or "").replace("FOLDER|ZIP", "") or each.shell_complete(context, ""), each.opts
    # Words for values say something.
    assert re.findall(r"<\w+>|<list", text) == []
    # A line may break after a hyphen.
    whole = re.sub(r"-\n +", "-", text)
    assert [name for name in NAMES.get(command, []) if name not in whole] == []


SPLIT = "Spaces split a list into several arguments: write 0.01,0.03,0.1 or '0.01, 0.03, 0.1'"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--lr 0.1", "No such option: --lr; did you mean --learning-rates?"),
        ("--learning-ratio 0.1", "No such option: --learning-ratio; did you mean --learning-rates?"),
        ("--sedes 0.1", "No such option: --sedes; did you mean --seeds?"),
        ("--res 0.1", "No such option: --res; did you mean --resume?"),
        # Several may be near.
        ("--re 0.1", "No such option: --re; did you mean --resume or --reuse-anyway or --reuse-from or --report?"),
        ("--gpu 0.1", "No such option: --gpu"),
        ("--seeds 0 --learning-rates 0.01, 0.03, 0.1 --epochs 1", SPLIT),
        ("--seeds 0 --learning-rates 0.01 ,0.03 ,0.1 --epochs 1", SPLIT),
        ("--seeds 0 --learning-rates 0.01 , 0.03, 0.1 --epochs 1", SPLIT),
        # Other surplus arguments are not taken for a list.
        ("--seeds 0,3 surplus", "The argument surplus is one too many; allowed: orchestrator sweep [OPTIONS]"),
    ],
)
def test_words_that_no_command_knows_get_what_was_meant(here: InProcess, words: str, message: str) -> None:
    assert here.refused("sweep", *words.split()) == f"{message}\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sw", ["sweep"]),
        ("sweep --se", ["--seeds", "--set"]),
        ("sweep --rule ", ["backprop", "notebook"]),
        ("leaderboard --by j", ["job"]),
        ("prune night --keep-weights ", ["all", "none", "best:1", "best:3"]),
        ("sweep --initialization l", ["lecun", "lecun_uniform"]),
        ("sweep --name ", []),
        ("sweep --resume --name ", ["last", "night"]),
        ("report night --chart m", ["metric-by-learning_rate"]),
        ("plot night ", ["intervals", "metric-by-learning_rate", "curves"]),
        ("leaderboard night --sort le", ["learning_rate"]),
        ("leaderboard night --metric b", ["best"]),
        ("leaderboard nonsense --where ", []),
        ("compare night night ", ["learning_rate=0.01", "learning_rate=0.03"]),
        ("show ", ["last", "night"]),
        ("rm --output elsewhere ", []),
        ("show night l", ["learning_rate=0.01", "learning_rate=0.03"]),
        # Without a sweep, the last one is meant
        ("verify seed=1 se", ["seed=0", "seed=1"]),
        ("show nonsense ", []),
    ],
)
def test_the_shell_completes_commands_options_values_sweeps_and_jobs(
    here: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, offered: list[str]
) -> None:
    here.command_line.finished("night", *SMALL)
    if "report" not in typed and "plot" not in typed:
        # Only which charts there are depends on rows.
        results = here.runs / "night" / "results.jsonl"
        results.unlink()
        results.mkdir()
    monkeypatch.setenv("_ORCHESTRATOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"orchestrator {typed}")
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ") + 1))
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out.split() == offered
