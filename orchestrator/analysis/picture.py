"""Reads a picture of a digit and converts it to the format of MNIST, which the networks are trained on.

A picture of 28x28 pixels keeps its pixels. A larger one is normalized like the originals of MNIST: the digit is scaled
to fit a box of 20x20 pixels, keeping its aspect ratio, and the box is placed in a field of 28x28 pixels so that the
digit's centre of mass is at the centre (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
document recognition", Proceedings of the IEEE 86(11), 1998, section III.A).
"""

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps, ImageStat, UnidentifiedImageError

from nn.files import open_regular, reading
from nn.forked import forked
from orchestrator.errors import PictureError

#: The width and height of MNIST's images, and of the box that contains the digit, in pixels.
SIDE = 28
BOX = 20
#: Bytes of memory and seconds of a processor that reading a picture may take.
MOST_MEMORY, MOST_SECONDS = 180 * 2**20, 4
#: The smallest difference between ink and paper, of 255 levels.
MIN_CONTRAST = 24
#: Levels below this fraction of the way from paper to the darkest ink count as paper: shadows, grain, JPEG artefacts.
PAPER_SHARE = 0.25
#: The formats that are read. Pillow knows more: EPS starts another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def read_bounded(path: Path) -> NDArray[np.uint8]:
    """Read a picture as `read_picture` does, within `MOST_MEMORY` and `MOST_SECONDS`.

    What decoding takes does not follow from a file's size and header; the system can bound it in another process.

    Raises:
        PictureError: as for `read_picture`, or decoding takes more.
    """
    try:
        return forked(_read_any_size, path, bounds=(MOST_MEMORY, MOST_SECONDS))
    except (BrokenProcessPool, MemoryError):
        most = f"{MOST_MEMORY >> 20} MiB of memory and {MOST_SECONDS} s of a processor"
        raise PictureError(f"{str(path)!r} cannot be decoded with {most}: save it with fewer pixels") from None


def _read_any_size(path: Path) -> NDArray[np.uint8]:
    # The bounds of its process replace Pillow's limit.
    Image.MAX_IMAGE_PIXELS = None
    return read_picture(path)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture of one digit, dark on light or light on dark.

    Returns:
        uint8, shape (28, 28): 0 for paper up to 255 for ink, as in MNIST.

    Raises:
        PictureError: the file cannot be read, is not a picture, is too small, or shows no digit.
    """
    ink = _ink(path, _grey(path))
    return ink if ink.shape == (SIDE, SIDE) else _centred(ink)


def _grey(path: Path) -> NDArray[np.uint8]:
    """Return the brightness of each pixel: uint8, shape (height, width)."""
    with reading(repr(str(path)), PictureError):
        file = open_regular(path)
    try:
        with file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if min(width, height) < SIDE:
                raise PictureError(f"{str(path)!r} has {width}x{height} pixels; allowed: at least {SIDE}x{SIDE}")
            # A large JPEG is decoded at down to an eighth of its size, to at least this one.
            image.draft("L", (1024, 1024))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _levels(path, image)
    except (PictureError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{str(path)!r} is not a picture; allowed: {', '.join(FORMATS)}") from None
    except Exception as error:
        # On a damaged file, Pillow's decoders raise exceptions of many types.
        why = str(error) or type(error).__name__
        most = f"with {MOST_MEMORY >> 20} MiB of memory"
        raise PictureError(f"{str(path)!r} cannot be read as a picture {most}: {why}") from None


def _levels(path: Path, image: Image.Image) -> NDArray[np.uint8]:
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
    grey, alpha = image.convert("RGBA").convert("LA").split()
    # The mean brightness, weighted by how opaque each pixel is.
    is_dark = ImageStat.Stat(ImageChops.multiply(grey, alpha)).sum[0] < ImageStat.Stat(alpha).sum[0] / 2
    paper = Image.new("L", grey.size, 255 if is_dark else 0)
    return np.asarray(Image.composite(grey, paper, alpha))


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


def _centred(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(ink)
    digit = image.crop(image.getbbox())
    scale = BOX / max(digit.size)
    size = [max(1, round(length * scale)) for length in digit.size]
    levels: NDArray[Any] = np.asarray(digit.resize(size, Image.Resampling.BILINEAR))
    field = np.zeros((SIDE, SIDE), np.uint8)
    # Without any ink left, the middle is the centre. Measured over MNIST, its mean is at pixel 14.0 of 0 to 27.
    mass = levels if levels.any() else np.ones_like(levels)
    centre = (np.average(np.arange(len(sums)), weights=sums) for sums in (mass.sum(axis=1), mass.sum(axis=0)))
    places = zip(centre, levels.shape, strict=True)
    top, left = (min(max(round(SIDE / 2 - at), 0), SIDE - length) for at, length in places)
    field[top : top + levels.shape[0], left : left + levels.shape[1]] = levels
    return field
