"""Reads a picture of a digit and converts it to the format of MNIST, which the networks are trained on.

A picture of 28x28 pixels keeps its pixels. A larger one is normalized like the originals of MNIST: the digit is scaled
to fit a box of 20x20 pixels, keeping its aspect ratio, and the box is placed in a field of 28x28 pixels so that the
digit's centre of mass is at the centre (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
document recognition", Proceedings of the IEEE 86(11), 1998, section III.A).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nn.files import open_regular, reading
from orchestrator.errors import PictureError

#: The width and height of MNIST's images, and of the box that contains the digit, in pixels.
SIDE = 28
BOX = 20
#: Bounds on what an untrusted file can cost in memory; a phone's photograph is well within them.
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 2**25
#: The smallest difference between ink and paper, of 255 levels.
MIN_CONTRAST = 24
#: Levels below this fraction of the way from paper to the darkest ink count as paper: shadows, grain, JPEG artefacts.
PAPER_SHARE = 0.25
#: The formats that are read. Pillow knows more: some start another program (EPS), or decode a picture before its size
#: can be checked (ICO, ICNS).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture of one digit, dark on light or light on dark.

    Returns:
        uint8, shape (28, 28): 0 for paper up to 255 for ink, as in MNIST.

    Raises:
        PictureError: the file cannot be read, is not a picture, is too small or too large, or shows no digit.
    """
    image = _open(path)
    width, height = image.size
    if min(width, height) < SIDE:
        raise PictureError(f"{str(path)!r} has {width}x{height} pixels; allowed: at least {SIDE}x{SIDE}")
    ink = _ink(path, _grey(path, image))
    return ink if ink.shape == (SIDE, SIDE) else _centred(_cropped(ink))


def _open(path: Path) -> Image.Image:
    Image.init()
    with reading(repr(str(path)), PictureError), open_regular(path, MAX_BYTES) as file:
        try:
            # Pillow warns of sizes that are refused below, and of damaged metadata.
            with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise PictureError(f"{str(path)!r} has {width}x{height} pixels; allowed: at most {MAX_PIXELS}")
                image.load()
                return ImageOps.exif_transpose(image)
        except PictureError:
            raise
        except UnidentifiedImageError:
            raise PictureError(f"{str(path)!r} is not a picture; allowed: {', '.join(FORMATS)}") from None
        except Image.DecompressionBombError:
            raise PictureError(f"{str(path)!r} has far too many pixels; allowed: at most {MAX_PIXELS}") from None
        except Exception as error:
            # On a damaged file, Pillow's decoders raise exceptions of many types.
            why = str(error) or type(error).__name__
            raise PictureError(f"{str(path)!r} cannot be read as a picture: {why}") from None


def _grey(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    """Return the brightness of each pixel: uint8, shape (height, width)."""
    if image.mode[0] in "IF":
        # Pillow would clip more than 256 levels; they are scaled instead, in float64, where no difference of two
        # 32-bit numbers overflows.
        levels = np.array(image, np.float64)
        if not np.isfinite(levels).all():
            raise PictureError(f"{str(path)!r} has pixels that are not finite numbers")
        low, high = float(levels.min()), float(levels.max())
        levels -= low
        levels *= 255 / max(high - low, 1e-9)
        return np.rint(levels, out=levels).astype(np.uint8)
    if not image.has_transparency_data:
        return np.asarray(image.convert("L"))
    grey, alpha = (np.asarray(band, np.float32) for band in image.convert("RGBA").convert("LA").split())
    opaque = alpha.sum()
    is_dark = opaque > 0 and float((grey * alpha).sum() / opaque) < 128
    paper = 255 if is_dark else 0
    return np.rint(paper + (grey - paper) * (alpha / 255)).astype(np.uint8)


def _ink(path: Path, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the amount of ink on each pixel, whether it is dark on light paper or light on dark.

    The median of the border is the paper. A picture of 28x28 pixels keeps all its levels, as in MNIST.
    """
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    paper = int(np.median(border))
    if paper > 127:
        grey, paper = 255 - grey, 255 - paper
    contrast = int(grey.max()) - paper
    if contrast < MIN_CONTRAST:
        raise PictureError(f"{str(path)!r} shows no digit: all its pixels are nearly the same")
    if grey.shape == (SIDE, SIDE):
        return grey
    share = (np.arange(256) - paper) / contrast
    levels = np.where(share < PAPER_SHARE, 0, np.rint(255 * share)).clip(0, 255).astype(np.uint8)
    return levels[grey]


def _cropped(ink: NDArray[np.uint8]) -> Image.Image:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = digit.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(digit).resize(size, Image.Resampling.BILINEAR)


def _centred(digit: Image.Image) -> NDArray[np.uint8]:
    from scipy.ndimage import center_of_mass

    levels: NDArray[Any] = np.asarray(digit)
    field = np.zeros((SIDE, SIDE), np.uint8)
    # Without any ink left, the middle is the centre. Measured over MNIST, its mean is at pixel 14.0 of 0 to 27.
    centre = center_of_mass(levels if levels.any() else np.ones_like(levels))
    places = zip(centre, levels.shape, strict=True)
    top, left = (min(max(round(SIDE / 2 - at), 0), SIDE - length) for at, length in places)
    field[top : top + levels.shape[0], left : left + levels.shape[1]] = levels
    return field
