"""Fixtures of the tests that run whole commands and whole clusters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine


@pytest.fixture
def command_line(tmp_path: Path, cache_dir: Path) -> Iterator[CommandLine]:
    """The command `orchestrator`, with a temporary folder of its own."""
    with tempfile.TemporaryDirectory(prefix="cl-") as temporary:
        made = CommandLine(tmp_path, Path(temporary), cache_dir)
        try:
            yield made
        finally:
            made.close()
