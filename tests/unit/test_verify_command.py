"""`orchestrator verify` cleans up on a cluster while it is there, also when it ends early."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.cli import verify as verify_command
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interrupted, Interruption
from orchestrator.running.verify import Check
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.specification import SweepSpecification
from worker.settings import Settings


def test_an_interruption_between_two_checks_cleans_up_before_the_cluster_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a verification of two jobs that is interrupted while it shows the first one's check
    specification = SweepSpecification(seeds=(0, 1), learning_rates=(0.1,), epochs=1)
    jobs = specification.jobs(MNIST_DIGEST)
    events = []

    @contextlib.contextmanager
    def cluster(*arguments: Any, **more: Any) -> Iterator[None]:
        try:
            yield
        finally:
            events.append("the cluster goes")

    class Verification:
        def __init__(self, *arguments: Any) -> None: ...

        def check(self, *_: Any) -> Iterator[Check]:
            try:
                for job in jobs:
                    yield Check(job=job.key, seed=job.seed, learning_rate=0.1, epochs=1, worker="w", differences=[])
            finally:
                events.append("the runs are cleaned up")

    def interrupt(check: Check) -> str:
        raise Interrupted(2)

    monkeypatch.setattr(verify_command, "cluster_for", cluster)
    monkeypatch.setattr(verify_command, "Verification", Verification)
    monkeypatch.setattr(verify_command, "describe", interrupt)
    manifest = Manifest(
        name="a",
        specification=specification,
        dataset=MNIST_DIGEST,
        jobs=[job.key for job in jobs],
        provenance=provenance(),
    )
    plan = verify_command.Plan(SweepFolder(tmp_path, "a"), manifest, {}, jobs, 2, 0, Settings(), 1)
    # Then it cleans up first
    with pytest.raises(Interrupted):
        verify_command._check(plan, Interruption(), Console(file=io.StringIO()))
    assert events == ["the runs are cleaned up", "the cluster goes"]
