"""What `--help` says of each command, and what it costs."""

from __future__ import annotations

import re

import pytest

from orchestrator.cli.main import COMMANDS, run
from orchestrator.export.formats import FORMATS
from orchestrator.report.charts.catalogue import KINDS
from tests.support.command_line import CommandLine


def test_help_names_every_option_of_the_specification(command_line: CommandLine) -> None:
    text = command_line.run("sweep", "--help").stdout

    for option in ("seeds", "learning-rates", "epochs", "hidden", "loss", "rule", "engine", "dtype", "shuffle", "limit",
                   "name", "broker", "workers", "data", "output", "resume", "json", "spec", "no-reuse"):  # fmt: skip
        assert f"--{option} " in text
    assert command_line.run("--version").stdout.startswith("seedsweep ")
    overview = command_line.run("--help").stdout
    assert "Example: orchestrator sweep " in overview
    assert "..." not in overview.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0

    text = capsys.readouterr().out
    assert COMMANDS[command] in " ".join(text.split())
    assert f"  Example: orchestrator {command} " in text
    # The options in the example are ones that the command has.
    before, _, rest = text.partition("Example: ")
    example, _, after = rest.partition("\n\n")
    options = re.findall(r"--[a-z-]+", example)
    assert all(re.search(rf"(  |, ){option} ", before + after) for option in options)


def test_help_names_every_chart_and_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    for command, names in (("report", [kind.name for kind in KINDS]), ("export", list(FORMATS))):
        assert run([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert [name for name in names if name not in text] == []
