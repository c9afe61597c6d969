"""An embedded cluster that cannot start says why, in one sentence."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from orchestrator.cluster.embedded import EmbeddedCluster
from orchestrator.errors import ClusterError


def test_without_a_temporary_folder_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")
    with pytest.raises(
        ClusterError, match=r"^The embedded cluster cannot start: no temporary folder can be created: Not a directory$"
    ):
        EmbeddedCluster(1, {})


def test_a_machine_that_starts_no_more_processes_is_named(monkeypatch: pytest.MonkeyPatch, short_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    cluster = EmbeddedCluster(1, {})
    with (
        pytest.raises(ClusterError, match=r"^The embedded cluster cannot start: No such file or directory$"),
        cluster,
    ):
        pass
    assert list(short_path.iterdir()) == []
