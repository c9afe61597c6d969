"""Reading a digit from a picture: MNIST's images come back whatever was done to them; bad files are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from nn.datasets.mnist import Dataset
from orchestrator.analysis.picture import read_picture
from orchestrator.errors import PictureError
from tests.support.datasets import to_bytes


@pytest.fixture(scope="module")
def images(mnist: Dataset) -> NDArray[np.uint8]:
    """The first validation images, as ink on paper of level 0, shape (25, 28, 28)."""
    return to_bytes(mnist.validation.first(25)).reshape(-1, 28, 28)


def _save(folder: Path, levels: NDArray[Any], name: str = "digit.png", **options: Any) -> Path:
    path = folder / name
    Image.fromarray(levels).save(path, **options)
    return path


def _enlarged(image: NDArray[np.uint8], factor: int, margins: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Scale a digit up and lay it off the middle of a larger sheet."""
    side = 28 * factor
    large = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    return np.pad(large, (margins[:2], margins[2:]))


@pytest.fixture(scope="module")
def sheet(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One digit, light on dark, enlarged and off the middle."""
    return _enlarged(images[3], 4, (10, 20, 30, 40))


def _read(folder: Path, levels: NDArray[Any], name: str = "digit.png", **options: Any) -> NDArray[np.int64]:
    """Save a picture, and return what is read from it as numbers that can be subtracted."""
    return read_picture(_save(folder, levels, name, **options)).astype(int)


def test_a_picture_in_mnists_own_format_is_taken_as_it_is(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    # Light on dark, as MNIST stores it, and dark on light, as paper looks
    assert np.array_equal(_read(tmp_path, images[0]), images[0])
    assert np.array_equal(_read(tmp_path, 255 - images[0]), images[0])


@pytest.mark.parametrize(
    ("name", "options", "invert"),
    [
        ("light-on-dark.png", {}, False),
        ("dark-on-light.bmp", {}, True),
        ("light-on-dark.webp", {}, False),
        ("dark-on-light.jpg", {"quality": 60}, True),
    ],
)
def test_the_digit_fits_the_box_and_its_centre_of_mass_is_in_the_middle(
    tmp_path: Path, images: NDArray[np.uint8], name: str, options: dict[str, Any], invert: bool
) -> None:
    for image in images:
        sheet = _enlarged(image, 5, (90, 3, 0, 200))
        read = _read(tmp_path, 255 - sheet if invert else sheet, name, **options)
        rows, columns = np.flatnonzero(read.any(axis=1)), np.flatnonzero(read.any(axis=0))
        centre = (read.sum(axis=1) @ np.arange(28), read.sum(axis=0) @ np.arange(28)) / read.sum()

        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        # A pixel cannot be shifted by less than a whole one; a digit at the edge cannot be shifted beyond it.
        at_edge = {0, 27} & {int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])}
        assert at_edge or np.abs(centre - 14).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F"])
def test_every_kind_of_pixel_is_read(tmp_path: Path, sheet: NDArray[np.uint8], mode: str) -> None:
    # Given the same digit, dark on light, in many modes
    levels = 255 - sheet
    image = Image.fromarray(levels)
    if mode in ("I;16", "I"):
        image = Image.fromarray(levels.astype(np.uint16) * 257) if mode == "I;16" else image.convert("I")
    elif mode == "F":
        image = Image.fromarray(levels.astype(np.float32) / 1000 - 3)
    else:
        image = image.convert(mode)
    path = tmp_path / ("digit.tiff" if mode in ("CMYK", "F", "I") else "digit.png")
    image.save(path)

    read = read_picture(path).astype(int)

    # Then it reads the same; black and white alone lose some greys
    assert np.abs(read - _read(tmp_path, levels, "plain.png")).mean() < (25 if mode == "1" else 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("low", "high"), [(-3e38, 3e38), (0, 3e38), (-1e-6, 1e-6)])
def test_the_largest_and_smallest_numbers_are_scaled_without_a_warning(
    tmp_path: Path, sheet: NDArray[np.uint8], low: float, high: float
) -> None:
    # Given a digit in numbers whose difference may be too large for their own type
    numbers = (low + sheet / 255.0 * (high - low)).astype(np.float32)

    assert np.abs(_read(tmp_path, numbers, "digit.tiff") - _read(tmp_path, sheet)).max() <= 1


def test_transparent_ground_is_paper_and_a_photograph_is_turned(tmp_path: Path, sheet: NDArray[np.uint8]) -> None:
    upright = Image.Exif()
    upright[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise to see the picture
    expected = _read(tmp_path, sheet)
    assert np.array_equal(_read(tmp_path, np.rot90(sheet), exif=upright), expected)
    for ink in (0, 255):
        assert np.abs(_read(tmp_path, np.dstack([np.full_like(sheet, ink), sheet])) - expected).mean() < 1
        # Nor does a ground count that is all but transparent.
        faint = np.dstack([np.where(sheet, ink, 255 - ink).astype(np.uint8), np.maximum(sheet, 1)])
        assert np.abs(_read(tmp_path, faint) - expected).mean() < 1


def test_shade_and_grain_are_paper(tmp_path: Path, sheet: NDArray[np.uint8]) -> None:
    # Given a digit in pencil on grey paper, darker to one side, with grain
    shade = np.linspace(0, 25, sheet.shape[1]) + np.random.default_rng(0).normal(0, 4, sheet.shape)
    photographed = (200 - shade - sheet * 0.55).clip(0, 255).astype(np.uint8)

    read = _read(tmp_path, photographed, "photograph.jpg", quality=80)

    assert np.abs(read - _read(tmp_path, sheet)).mean() < 6
    assert not read[0].any()


def test_what_is_no_picture_of_a_digit_is_refused_in_one_sentence(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    text = tmp_path / "digit.txt"
    text.write_text("7")
    cut = tmp_path / "cut.png"
    cut.write_bytes(_save(tmp_path, _enlarged(images[0], 9, (0, 0, 0, 0))).read_bytes()[:400])
    nan = tmp_path / "nan.tiff"
    Image.fromarray(np.full((30, 30), np.nan, np.float32)).save(nan)
    script = tmp_path / "digit.eps"
    Image.fromarray(images[0]).save(script)
    icon = tmp_path / "digit.ico"
    Image.fromarray(_enlarged(images[0], 2, (0, 0, 0, 0))).save(icon, sizes=[(56, 56)])
    refused = {
        icon: "is not a picture; allowed: BMP, GIF",
        tmp_path / "none.png": "cannot be read: No such file or directory",
        tmp_path: "cannot be read: Is a directory",
        Path("/dev/zero"): "cannot be read: Not a regular file",
        Path("a\0b"): "embedded null",
        text: "is not a picture",
        cut: "cannot be read as a picture",
        nan: "not finite",
        script: "is not a picture",
        _save(tmp_path, np.zeros((27, 400), np.uint8), "small.png"): "has 400x27 pixels; allowed: at least 28x28",
        _save(tmp_path, np.full((90, 90), 255, np.uint8), "blank.png"): "shows no digit",
        _save(tmp_path, np.full((28, 28), 9, np.uint8), "dark.png"): "shows no digit",
    }
    for path, reason in refused.items():
        with pytest.raises(PictureError) as caught:
            read_picture(path)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory, images: NDArray[np.uint8]) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("intact")
    sheet = _enlarged(images[0], 2, (0, 0, 0, 0))
    return {
        name: _save(folder, sheet, f"a.{name}").read_bytes() for name in ("png", "gif", "jpg", "tiff", "webp", "bmp")
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_picture_is_read_or_refused(tmp_path: Path, intact: dict[str, bytes], data: st.DataObject) -> None:
    content = bytearray(intact[data.draw(st.sampled_from(sorted(intact)))])
    for _ in range(data.draw(st.integers(0, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    try:
        read = read_picture(path)
    except PictureError:
        return
    assert (read.shape, read.dtype) == ((28, 28), np.uint8)
