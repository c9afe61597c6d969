"""README.md: its commands run as they stand, in a clean clone."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.live_server import servers, whole_index
from tests.support.paths import ROOT
from tests.support.secured_server import make_secrets

#: The commands that extend a sweep or compare its configurations, in the document's order.
LATER = ("extend", "confirm", "compare", "decide")
README = (ROOT / "README.md").read_text()


def masked(text: str) -> str:
    """Replace the numbers of a text, which differ from one sweep to another."""
    return re.sub(r"[\d.]+", "#", text)


def test_the_commands_run_one_after_another(command_line: CommandLine) -> None:
    # Given a clone, in which there is nothing but what Git keeps
    (command_line.folder / "docs").symlink_to(ROOT / "docs")
    block = README.split("\n## Use it\n")[1].split("```")[1]
    commands = [
        words for line in block.split("\n") if (words := shlex.split(line, comments=True))[:1] == ["orchestrator"]
    ]
    assert [words[1] for words in commands] == [
        "sweep", "sweep", "list", "note", "leaderboard", "report", "serve", "show", "predict", "verify", *LATER,
    ]  # fmt: skip

    # When the commands are run, the first with less to train on
    outputs = []
    for words in commands:
        first = ["--limit", "1500"] if not outputs else []
        if words[1] == "serve":  # It does not end by itself.
            assert words[2:] == []
            with servers(command_line) as serve:
                assert "finished</td>" in whole_index(serve())
            continue
        outputs.append(command_line.run(*words[1:], *first).stdout)

    # Then each does what its comment says: the picture is a three
    shown = README.split("```text\n")[1].split("```")[0].split("\n")
    printed = masked(outputs[0])
    for line in shown:
        if line.startswith(("Training", "[ 1/20]", "Validation", "jobs")):
            assert masked(line) in printed
    assert outputs[5].startswith("Report: runs/first/report.html")
    assert re.search(r"digit\.png reads as 3 \(9\d\.\d\d %\)", outputs[7])
    assert "Verified: 5 jobs of first give the same bits again" in outputs[8]
    assert "\nUse learning rate 0.03: " in outputs[-1]


@pytest.mark.parametrize("document", ["README.md", "docs/how-to/operating.md"])
def test_the_brokers_address_is_found_in_what_the_secrets_show(document: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    shown = make_secrets(tmp_path, "show").stdout
    match = re.search(r"secrets show \| (sed -n '.*?')", (ROOT / document).read_text())
    assert match is not None
    found = subprocess.run(shlex.split(match[1]), input=shown, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"redis://orchestrator:[\w-]+@127\.0\.0\.1:6379/0\n", found)
