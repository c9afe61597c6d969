"""The portrait of a report: whose it is, what it says without weights, and what the pixels of its images show."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nn.errors import DatasetError
from orchestrator.analysis.evaluation import data_of
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report import images
from orchestrator.report.contents import network
from orchestrator.report.images import NEGATIVE, POSITIVE, Picture
from tests.support.boards import sweep_with, trained
from tests.support.exported import odd_sweep, odd_trainer
from tests.support.sweep_folders import filled, snapshot_of
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


def test_without_a_result_there_is_none_and_one_where_all_jobs_diverged(tmp_path: Path) -> None:
    diverged = sweep_with(tmp_path / "diverged", {0.1: ["diverged"] * 3})
    assert network.subject(diverged) in diverged.jobs
    for outcome in (None, "failed", "cancelled"):
        snapshot = sweep_with(tmp_path / str(outcome), {0.1: [outcome] * 3})
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


def test_without_weights_it_names_the_command_by_the_name_that_the_folder_has_now(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, SWEEP, lambda job: trained(job, score(job)) if job.seed else None)
    snapshot.folder.path.rename(tmp_path / "theirs")
    renamed = network.content(Sweep.read(SweepFolder(tmp_path, "theirs")), None)
    assert "This trains its job again, to the same bits" in renamed.sentence
    assert re.fullmatch("orchestrator weights theirs [0-9a-f]{12}", renamed.command or "")
    assert renamed.found is None


def test_weights_that_are_a_link_or_a_folder_are_not_followed(tmp_path: Path) -> None:
    # Given a stranger's folder, in which the weights lead elsewhere
    snapshot = snapshot_of(tmp_path, SWEEP, lambda job: trained(job, score(job)))
    best = str(network.subject(snapshot))
    weights = snapshot.folder.path / "weights"
    weights.mkdir(exist_ok=True)
    (weights / f"{best}.safetensors").mkdir()
    assert "are damaged" in network.content(snapshot, None).sentence
    (weights / f"{best}.safetensors").rmdir()
    (weights / f"{best}.safetensors").symlink_to(snapshot.folder.path / "sweep.json")
    assert "cannot be shown" in network.content(snapshot, None).sentence


def test_no_data_set_is_fetched_because_a_folder_says_so(tmp_path: Path) -> None:
    # Given a stranger's folder, which names a data set of OpenML that is not MNIST
    sweep = sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=2, data="openml")
    folder = filled(tmp_path, sweep, lambda job: trained(job, score(job)), dataset="0" * 64)
    with pytest.raises(DatasetError, match="was trained on 000000000000, and OpenML's MNIST is 06ad231b5cb2"):
        data_of(folder.manifest(), next(iter(sweep.jobs("0" * 64))), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def decoded(picture: Picture) -> Image.Image:
    head, _, data = picture.address.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (picture.width, picture.height)
    return image


def test_ink_is_dark_on_white_paper() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert np.array_equal(np.asarray(decoded(images.ink(image))), 255 - image)
    assert images.ink(image) == images.ink(image.copy())
    # A large image is shrunk.
    assert decoded(images.ink(np.full((256, 256), 255, np.uint8))).size == (64, 64)


def test_a_mosaic_shows_signs_by_colour_and_sizes_by_opacity() -> None:
    # Given two tiles of four pixels
    rows = np.array([[0.0, 1.0, -1.0, 0.5], [-0.5, 9.0, -9.0, 0.01]])
    # When they are drawn with a full colour at 1
    pixels = np.asarray(decoded(images.mosaic(rows, 1.0)).convert("RGBA")).astype(int)
    # Then they stand side by side, with nothing between them,
    assert pixels.shape == (2, 2 + 2 + 2, 4)
    first, gap, second = pixels[:, :2], pixels[:, 2:4], pixels[:, 4:]
    assert not gap[..., 3].any()
    # and every pixel has the colour of its sign, the more of it the larger it is, and no more than all of it
    assert first[..., 3].tolist() == [[0, 255], [255, 128]]
    assert second[..., 3].tolist() == [[128, 255], [255, 0]]
    assert tuple(first[0, 1, :3]) == tuple(second[0, 1, :3]) == tuple(first[1, 1, :3]) == POSITIVE
    assert tuple(first[1, 0, :3]) == tuple(second[0, 0, :3]) == NEGATIVE


@pytest.mark.parametrize(("n", "side"), [(1, 1), (128, 28), (7, 3), (2, 100)])
def test_a_mosaic_has_a_tile_for_each_row(n: int, side: int) -> None:
    picture = images.mosaic(np.ones((n, side * side), np.float32), 1.0)
    opaque = np.asarray(decoded(picture).convert("RGBA"))[..., 3] == 255
    assert opaque.sum() == n * min(side, images.MOST_TILE_PIXELS) ** 2


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (1.0, "100.00 %"),
        (1 - 1e-9, ">99.99 %"),
        (0.9998, "99.98 %"),
        (0.99, "99.00 %"),
        (0.9, "90.0 %"),
        (0.0, "0.0 %"),
    ],
)
def test_only_a_certain_answer_is_given_with_100_percent(probability: float, text: str) -> None:
    assert network.percent(probability) == text
