"""The Makefile says what it needs and what it offers."""

from __future__ import annotations

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


def test_a_python_that_is_not_there_is_one_sentence(clone: Path) -> None:
    done = make(clone, "PYTHON=nopython", "test")

    first, *rest = done.stderr.splitlines()
    assert first == "There is no Python interpreter nopython. Try: make PYTHON=python3 test"
    assert [line.startswith("make: ***") for line in rest] == [True]  # make's own words
    assert done.stdout == ""
    assert not (clone / ".venv").exists()


def test_an_old_python_is_one_sentence(clone: Path) -> None:
    old = clone / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n')
    old.chmod(0o755)

    done = make(clone, f"PYTHON={old}", "test")

    assert done.stderr.splitlines()[0] == (
        f"Seedsweep needs Python 3.11 or newer; {old} is Python 3.9.2. Try: make PYTHON=python3.13 test"
    )
    assert not (clone / ".venv").exists()


def test_help_lists_every_target(clone: Path) -> None:
    text = make(clone, "help").stdout
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (clone / "Makefile").read_text(), re.MULTILINE)

    assert [line.split()[1] for line in text.splitlines()] == re.findall(
        r"^([a-z-]+):.*##", (clone / "Makefile").read_text(), re.MULTILINE
    )
    assert {line.split()[1] for line in text.splitlines()} == set(phony.split())
