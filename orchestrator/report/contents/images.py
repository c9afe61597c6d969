"""Arrays as PNG images for a page: equal arrays give equal bytes."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.report.contents.parts import Picture

#: Longest side of an image and of a mosaic's tile, in pixels; larger ones are shrunk.
MOST_PIXELS, MOST_TILE_PIXELS = 64, 32
#: RGB colours of positive and of negative numbers: they contrast with white as much as with black.
POSITIVE, NEGATIVE = (42, 127, 208), (217, 102, 10)
#: Steps of opacity from zero to the largest number.
STEPS = 8
_GAP = 2


def ink(image: NDArray[np.uint8]) -> Picture:
    """Return a square image as dark ink on white paper.

    Args:
        image: uint8, shape (side, side): 0 for paper up to 255 for ink.
    """
    side = min(len(image), MOST_PIXELS)
    return _picture(Image.fromarray(255 - image).resize((side, side), Image.Resampling.BOX))


def mosaic(rows: NDArray[np.floating], limit: float) -> Picture:
    """Return rows of numbers as square tiles side by side, for any background: zero is transparent.

    Positive and negative numbers have a colour each, which colour-blind readers can tell apart (Okabe and Ito). The
    larger the number, the more opaque its colour.

    Args:
        rows: Finite, shape (n, side * side).
        limit: The absolute value from which a colour is opaque; above zero.
    """
    whole = math.isqrt(rows.shape[1])
    side = min(whole, MOST_TILE_PIXELS)
    columns = math.ceil(math.sqrt(2 * len(rows)))
    lines = math.ceil(len(rows) / columns)
    field = np.zeros((lines * (side + _GAP) - _GAP, columns * (side + _GAP) - _GAP), np.int64)
    for place, row in enumerate(rows):
        top, left = (side + _GAP) * (place // columns), (side + _GAP) * (place % columns)
        image = Image.fromarray(row.reshape(whole, whole).astype(np.float32))
        tile = np.asarray(image.resize((side, side), Image.Resampling.BOX))
        field[top : top + side, left : left + side] = np.rint(np.clip(tile / limit, -1, 1) * STEPS)
    # In the palette, the negative steps follow the positive ones.
    made = Image.fromarray(np.where(field < 0, STEPS - field, field).astype(np.uint8)).convert("P")
    made.putpalette([*NEGATIVE, *(STEPS * POSITIVE), *(STEPS * NEGATIVE)])
    opacity = [round(255 * step / STEPS) for step in range(STEPS + 1)]
    return _picture(made, transparency=bytes([*opacity, *opacity[1:]]))


def _picture(image: Image.Image, **options: bytes) -> Picture:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    encoded = base64.b64encode(file.getvalue()).decode()
    return Picture(f"data:image/png;base64,{encoded}", *image.size)
