"""Images of a report: what their pixels show."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from orchestrator.report import images
from orchestrator.report.contents.network import percent
from orchestrator.report.images import NEGATIVE, POSITIVE, Picture


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


def test_a_large_image_is_shrunk() -> None:
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
    assert percent(probability) == text
