"""The Makefile says what it needs and what it offers."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which nothing was made yet."""
    for path in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("requirements*.txt")):
        shutil.copy(path, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The tests may themselves be run by make, which says so to every make below it.
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, env=outside, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("nopython", "There is no Python interpreter nopython. Try: make PYTHON=python3 test"),
        ("./old", "Seedsweep needs Python 3.11 or newer; ./old is Python 3.9.2. Try: make PYTHON=python3.13 test"),
    ],
)
def test_a_python_that_is_not_there_or_too_old_is_one_sentence(clone: Path, python: str, said: str) -> None:
    (clone / "old").write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n')
    (clone / "old").chmod(0o755)
    done = make(clone, f"PYTHON={python}", "test")
    first, *rest = done.stderr.splitlines()
    assert first == said
    assert [line.startswith("make: ***") for line in rest] == [True]  # make's own words
    assert done.stdout == ""
    assert not (clone / ".venv").exists()


def test_help_lists_every_target(clone: Path) -> None:
    text = make(clone, "help").stdout
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (clone / "Makefile").read_text(), re.MULTILINE)

    assert [line.split()[1] for line in text.splitlines()] == re.findall(
        r"^([a-z-]+):.*##", (clone / "Makefile").read_text(), re.MULTILINE
    )
    assert {line.split()[1] for line in text.splitlines()} == set(phony.split())
