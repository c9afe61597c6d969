"""A sweep's provenance: where, when and from which sources it was made."""

from __future__ import annotations

import os
import socket
import subprocess
from datetime import UTC, datetime

import pytest

from orchestrator.sweeps.provenance import PACKAGES, provenance
from tests.support.paths import ROOT


def test_provenance_names_the_checkout_the_host_the_time_and_every_package() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = provenance()

    assert set(found.packages) == set(PACKAGES)
    assert all(found.packages.values())
    assert (found.host, found.pid) == (socket.gethostname(), os.getpid())
    assert found.created.endswith("+00:00")
    assert before <= datetime.fromisoformat(found.created) <= datetime.now(UTC)
    if not (ROOT / ".git").exists():
        pytest.skip("the tests run outside a checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.git_commit == head.stdout.strip()
    assert found.git_dirty is not None
