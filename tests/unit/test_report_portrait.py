"""Whose portrait a report shows, and what it says without weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn.errors import DatasetError
from orchestrator.analysis.evaluation import data_of
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report.contents import network
from tests.support.boards import ended, trained
from tests.support.exported import odd_sweep, odd_trainer
from tests.support.snapshots import folder_of, snapshot_of
from tests.support.sweeps import sweep_of
from worker.job import Job

SWEEP = sweep_of(seeds=(0, 1, 2), learning_rates=(0.01, 0.1), epochs=2)


def score(job: Job) -> float:
    return 0.5 + 0.1 * job.options.learning_rate + 0.01 * (job.seed % 2)


def test_it_is_of_the_best_seed_of_the_first_configuration(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, SWEEP, lambda job: trained(job, score(job)))
    best = next(key for key, job in snapshot.jobs.items() if (job.seed, job.options.learning_rate) == (1, 0.1))
    assert network.subject(snapshot) == best
    # Whoever renders a page without looking at it names the command that does.
    assert network.without(snapshot).command == "orchestrator report a"


def test_where_all_jobs_diverged_it_is_of_the_first_one(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, SWEEP, lambda job: ended(job, "diverged"))
    assert network.subject(snapshot) in snapshot.jobs


def test_without_a_result_there_is_none(tmp_path: Path) -> None:
    for number, outcome in enumerate((None, "failed", "cancelled")):
        snapshot = snapshot_of(tmp_path / str(number), SWEEP, lambda job, how=outcome: ended(job, how))
        assert network.subject(snapshot) is None
        for content in (network.without(snapshot), network.content(snapshot, None)):
            assert (content.sentence, content.command) == ("There is no portrait, because no job has a result", "")


def test_a_sweep_of_another_trainer_has_none(tmp_path: Path) -> None:
    with odd_trainer(tmp_path / "trainers"):
        snapshot = Sweep.read(odd_sweep(tmp_path / "runs"))
        for content in (network.without(snapshot), network.content(snapshot, None)):
            assert content.sentence == (
                "There is no portrait: only models of the trainer network have one, and this sweep's is odd"
            )


def test_without_weights_it_counts_the_jobs_that_are_trained_again(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, SWEEP, lambda job: trained(job, score(job)) if job.seed else None)
    best = str(network.subject(snapshot))
    content = network.content(snapshot, None)
    assert content.sentence == (
        f"The winner's network cannot be shown: its weights {best[:12]} are missing. "
        "This trains 4 jobs whose weights are missing again, to the same bits"
    )
    assert content.command == "orchestrator sweep --resume --name a"
    assert content.found is None
    # By the name that the folder has now
    snapshot.folder.path.rename(tmp_path / "theirs")
    renamed = network.content(Sweep.read(SweepFolder(tmp_path, "theirs")), None)
    assert renamed.command == "orchestrator sweep --resume --name theirs"


def test_weights_that_are_a_link_or_a_folder_are_not_followed(tmp_path: Path) -> None:
    # Given a stranger's folder, in which the weights lead elsewhere
    folder = folder_of(tmp_path, SWEEP, lambda job: trained(job, score(job)))
    snapshot = snapshot_of(tmp_path / "other", SWEEP, lambda job: trained(job, score(job)))
    best = str(network.subject(snapshot))
    weights = snapshot.folder.path / "weights"
    weights.mkdir(exist_ok=True)
    (weights / f"{best}.safetensors").mkdir()
    assert "are damaged" in network.content(snapshot, None).sentence
    (weights / f"{best}.safetensors").rmdir()
    (weights / f"{best}.safetensors").symlink_to(folder.path / "sweep.json")
    assert "cannot be shown" in network.content(snapshot, None).sentence


def test_no_data_set_is_fetched_because_a_folder_says_so(tmp_path: Path) -> None:
    # Given a stranger's folder, which names a data set of OpenML that is not MNIST
    sweep = sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=2, data="openml")
    folder = folder_of(tmp_path, sweep, lambda job: trained(job, score(job)), dataset="0" * 64)
    with pytest.raises(DatasetError, match="was trained on 000000000000, and OpenML's MNIST is 06ad231b5cb2"):
        data_of(folder.manifest(), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
