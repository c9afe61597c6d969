"""Sweeps of which this version of their trainer trains other jobs: they are shown, and neither resumed nor verified."""

from pathlib import Path
from typing import Any

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import WeightsError
from orchestrator.analysis.lookup import trained_job
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place
from orchestrator.commands.sweep import plan_resumption
from orchestrator.commands.verify import plan_verification
from orchestrator.errors import SweepExistsError
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.boards import trained
from tests.support.sweeps import manifest_of, sweep_of
from worker.settings import Settings


@pytest.fixture
def earlier(tmp_path: Path) -> SweepFolder:
    """A sweep in float64, of which version 1 trained two of four jobs."""
    made = sweep_of(seeds=(0, 1), learning_rates=(0.01, 0.03), epochs=2, dtype="float64")
    jobs = {job.at(1).key: job.at(1) for job in made.jobs(MNIST_DIGEST)}
    folder = SweepFolder(tmp_path, "old")
    with folder.exclusive(manifest_of(made, "old").model_copy(update={"jobs": list(jobs)})):
        for job in list(jobs.values())[:2]:
            folder.append(trained(job, 0.9))
    return folder


def test_it_is_read_with_the_keys_that_it_had(earlier: SweepFolder) -> None:
    manifest = earlier.manifest()
    jobs = manifest.jobs_by_key()

    assert list(jobs) == manifest.jobs
    assert list(earlier.rows_of(jobs)) == manifest.jobs[:2]
    # A new sweep of the same specification has other jobs, and reuses none of its rows.
    assert not {job.key for job in manifest.specification.jobs(manifest.dataset)} & jobs.keys()


@pytest.mark.parametrize("plan", [plan_resumption, plan_verification])
def test_it_is_neither_resumed_nor_verified(plan: Any, earlier: SweepFolder) -> None:
    with pytest.raises(SweepExistsError) as caught:
        plan(earlier, Place(Settings()))
    assert str(caught.value) == (
        "Version 1 of the trainer network trained jobs of this sweep, to other bits than the version here: they "
        "cannot be resumed or verified; start the sweep again under another --name"
    )


def test_missing_weights_are_not_to_be_had_by_resuming_it(earlier: SweepFolder) -> None:
    with pytest.raises(WeightsError, match="is missing: version 1 of the trainer network trained them; to have others"):
        trained_job(Sweep.read(earlier), ["seed=0", "learning_rate=0.01"])
