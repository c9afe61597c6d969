"""The pictures of the report in the documents are those that `make screenshots` takes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.paths import ROOT
from tests.support.screenshots import IMAGES, SHOTS, take

MOST_BYTES = 200_000


def test_the_documents_show_every_picture_of_the_report() -> None:
    shown = (ROOT / "README.md").read_text() + (ROOT / "docs" / "how-to" / "report.md").read_text()
    assert [shot.name for shot in SHOTS if f"images/{shot.name})" not in shown] == []
    assert {path.name for path in IMAGES.glob("report-*.png")} == {shot.name for shot in SHOTS}
    for shot in SHOTS:
        picture = IMAGES / shot.name
        assert picture.stat().st_size < MOST_BYTES
        assert Image.open(picture).size == (shot.screen.width, shot.screen.height)


@pytest.mark.browser
@pytest.mark.slow(reason="needs Chromium")
def test_they_can_be_taken(report: Callable[[str], Path], tmp_path: Path) -> None:
    take(report("rates"), tmp_path)
    for shot in SHOTS:
        taken = Image.open(tmp_path / shot.name)
        assert taken.size == (shot.screen.width, shot.screen.height)
        # A page, and no empty ground.
        assert len(taken.getcolors() or ()) > 10
