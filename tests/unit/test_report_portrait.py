"""The portrait of a report: whose it is, what it says without weights, and what the pixels of its images show."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.main import run
from orchestrator.report.contents import model
from orchestrator.report.contents.model import NEGATIVE, POSITIVE
from orchestrator.report.contents.parts import Picture
from orchestrator.report.page.render import render_main
from tests.support.boards import sweep_with
from tests.support.exported import odd_sweep, odd_trainer
from worker.trainers import registry
from worker.trainers.protocol import PNG, Drawing

#: The scores of two learning rates, seed by seed.
SCORES = {rate: [0.5 + 0.1 * rate + 0.01 * (seed % 2) for seed in range(3)] for rate in (0.01, 0.1)}


def test_it_is_of_the_best_seed_of_the_first_configuration(tmp_path: Path) -> None:
    snapshot = sweep_with(tmp_path, SCORES)
    best = next(key for key, job in snapshot.jobs.items() if (job.seed, job.options.learning_rate) == (1, 0.1))
    assert model.subject(snapshot) == best
    # Whoever renders a page without looking at it names the command that does.
    without = model.without(snapshot)
    assert without is not None
    assert without.command == "orchestrator report a"


def test_without_a_result_there_is_none_and_one_where_all_jobs_diverged(tmp_path: Path) -> None:
    diverged = sweep_with(tmp_path / "diverged", {0.1: ["diverged"] * 3})
    assert model.subject(diverged) in diverged.jobs
    for outcome in (None, "failed", "cancelled"):
        snapshot = sweep_with(tmp_path / str(outcome), {0.1: [outcome] * 3})
        assert model.subject(snapshot) is None
        assert model.without(snapshot) is model.content(snapshot, None) is None
        assert 'id="model"' not in render_main(snapshot)


def test_a_sweep_of_another_trainer_has_none(tmp_path: Path) -> None:
    with odd_trainer(tmp_path / "trainers"):
        snapshot = Sweep.read(odd_sweep(tmp_path / "runs"))
        assert model.without(snapshot) is model.content(snapshot, None) is None


def test_it_has_what_another_trainer_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    buffer = io.BytesIO()
    Image.new("L", (7, 5)).save(buffer, "PNG")
    table = Drawing(title="<Weights>", columns=("feature", "weight"), rows=[("ink", np.float32(0.25))])
    ways: list[Callable[[], Any]] = [lambda: [table, Drawing(title="Paths", png=buffer.getvalue())]]

    def draw(_trainer: object, _options: object, artifact: bytes, _load: object) -> Any:
        assert artifact.startswith(b"weights of ")
        return ways[-1]()

    with odd_trainer(tmp_path / "trainers"):
        snapshot = Sweep.read(odd_sweep(tmp_path / "runs"))
        monkeypatch.setattr(type(registry.trainer("odd")), "drawings", draw)
        monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(tmp_path / "cache"))
        page = render_main(snapshot, model.content(snapshot, tmp_path))
        assert '<a href="#model">' in page
        assert "&lt;Weights&gt;" in page
        assert re.search(r'<img src="data:image/png;base64,[^"]+" width="7" height="5" alt="Paths">', page)
        # The terminal shows tables.
        words = ["show", "odd", "--output", str(tmp_path / "runs")]
        assert run(words) == 0
        shown = capsys.readouterr().out
        assert re.search(r"<Weights>\n+ +feature +weight\n.*\n +ink +0\.25", shown)
        assert "Paths: a picture, which the report shows" in shown
        # What a trainer does wrong is said, and shows no path in the report.
        wrong = {"are not all of type Drawing": lambda: [1], "raised ZeroDivisionError": lambda: 1 / 0}
        for why, way in wrong.items():
            ways.append(way)
            content = model.content(snapshot, tmp_path)
            assert content is not None
            assert content.sentence == "The winner's model cannot be shown: its trainer failed"
            assert run(words) == 0
            assert f"its drawings {why}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"columns": ["a"], "rows": [[1, 2]]},
        {"columns": ["a"], "rows": [[math.nan]]},
        {"columns": [1]},
        {"png": b"GIF8"},
        {"png": PNG},
        {"png": PNG + bytes(20), "columns": ["a"]},
    ],
)  # fmt: skip
def test_a_drawing_is_a_table_or_a_picture(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a drawing has (columns|texts)|a picture is a PNG"):
        Drawing(title="x", **fields)


def test_weights_that_are_a_link_or_a_folder_are_not_followed(tmp_path: Path) -> None:
    # Given a stranger's folder, in which the weights lead elsewhere
    snapshot = sweep_with(tmp_path, SCORES)
    best = str(model.subject(snapshot))
    weights = snapshot.folder.path / "weights"
    weights.mkdir(exist_ok=True)
    (weights / f"{best}.safetensors").mkdir()
    assert "are damaged" in model.content(snapshot, None).sentence
    (weights / f"{best}.safetensors").rmdir()
    (weights / f"{best}.safetensors").symlink_to(snapshot.folder.path / "sweep.json")
    assert "cannot be shown" in model.content(snapshot, None).sentence


def decoded(picture: Picture) -> Image.Image:
    head, _, data = picture.address.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (picture.width, picture.height)
    return image


def test_ink_is_dark_on_white_paper() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert np.array_equal(np.asarray(decoded(model.ink(image))), 255 - image)
    assert model.ink(image) == model.ink(image.copy())
    # A large image is shrunk.
    assert decoded(model.ink(np.full((256, 256), 255, np.uint8))).size == (64, 64)


def test_a_mosaic_shows_signs_by_colour_and_sizes_by_opacity() -> None:
    # Given two tiles of four pixels
    rows = np.array([[0.0, 1.0, -1.0, 0.5], [-0.5, 9.0, -9.0, 0.01]])
    # When they are drawn with a full colour at 1
    pixels = np.asarray(decoded(model.mosaic(rows, 1.0)).convert("RGBA")).astype(int)
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
    picture = model.mosaic(np.ones((n, side * side), np.float32), 1.0)
    opaque = np.asarray(decoded(picture).convert("RGBA"))[..., 3] == 255
    assert opaque.sum() == n * min(side, model.MOST_TILE_PIXELS) ** 2


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
    assert model.percent(probability) == text
