"""`verify` cleans up on a cluster while it is there, also when it ends early."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.cluster.connect import Place
from orchestrator.commands import verify as verify_command
from orchestrator.commands.verify import VerificationPlan, verify
from orchestrator.folder.rows import identity
from orchestrator.interruption import Interrupted
from orchestrator.running.verify import Check
from orchestrator.sweeps.names import JobNames
from tests.support.sweep_folders import JOBS, made


def test_an_interruption_between_two_checks_cleans_up_before_the_cluster_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a verification of two jobs that is interrupted while it shows the first one's check
    events = []

    class ShortLivedPlace:
        @contextlib.contextmanager
        def open(self, *_: Any, **__: Any) -> Iterator[None]:
            try:
                yield
            finally:
                events.append("the cluster goes")

    class Verification:
        def __init__(self, *arguments: Any) -> None: ...

        def check(self, *_: Any) -> Iterator[Check]:
            try:
                for job in JOBS:
                    yield Check(**identity(job), worker="w", differences=[])
            finally:
                events.append("the tasks are cleaned up")

    def interrupt(check: Check) -> None:
        raise Interrupted(2)

    monkeypatch.setattr(verify_command, "Verification", Verification)
    folder = made(tmp_path)
    place = cast("Place", ShortLivedPlace())
    plan = VerificationPlan(folder, folder.manifest(), JobNames(JOBS), {}, JOBS, 2, 0, place)
    # Then it cleans up first
    with pytest.raises(Interrupted):
        verify(plan, checked=interrupt)
    assert events == ["the tasks are cleaned up", "the cluster goes"]
