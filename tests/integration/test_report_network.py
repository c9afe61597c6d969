"""The portrait of a sweep's best network, in reports of real sweeps."""

import base64
import html
import io
import json
import re
import shlex
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nn.datasets import idx
from nn.datasets.mnist import BUNDLED
from tests.support.command_line import SMALL, small
from tests.support.idx_files import write_idx_folder
from tests.support.in_process import InProcess


@pytest.fixture
def here(here: InProcess) -> InProcess:
    """A working folder with a finished sweep."""
    here.command_line.finished("a", *SMALL)
    return here


def portrait(here: InProcess, name: str = "a") -> str:
    """Write a sweep's report, and return the section about its network."""
    return re.findall(r'<section id="model".*?</section>', here.page(name), re.DOTALL)[0]


def said(section: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", section).split()))


def command(section: str) -> list[str]:
    """Return the words of the command that a section shows."""
    return shlex.split(html.unescape(re.sub("<[^>]*>", "", re.findall(r"<code[^>]*>(.*?)</code>", section)[0])))


def image(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def nodes(section: str) -> Image.Image:
    return image(re.findall(r'<figure class="nodes">.*?src="([^"]+)"', section, re.DOTALL)[0])


def confusion(section: str) -> list[list[int]]:
    body = section[section.index("<tbody>") : section.index("</tbody>")]
    cells = r'<td class="(?:right|shade-\d)">(\d+)</td>'
    return [[int(count) for count in re.findall(cells, row)] for row in body.split("</tr>")[:-1]]


def best_row(here: InProcess) -> dict[str, Any]:
    return max(here.command_line.rows("a"), key=lambda row: row["validation_score"][-1])


def test_it_shows_what_show_says(here: InProcess) -> None:
    # Given what `show` says of the best job of a sweep
    answer = here.asked("show", "a", best_row(here)["job"][:12])
    # Then the report has the same confusions,
    section = portrait(here)
    assert confusion(section) == answer["confusion_matrix"]
    # the same mistakes, as the images that they are, the most confident first,
    shown = re.findall(r'<img src="([^"]+)" width="84" height="84" alt="([^"]+)"', section)
    assert len(shown) == 24
    images, _ = idx.read_folder(BUNDLED)
    for mistake, (address, alt) in zip(answer["mistakes"], shown, strict=False):
        assert alt.startswith(f"Image {mistake['image']}: a {mistake['true']} that the network took for a ")
        assert f"took for a {mistake['predicted']}, " in alt
        assert np.array_equal(np.asarray(image(address)).ravel(), 255 - images[mistake["image"]])
    # and the first layer of the network: 128 tiles of 28 pixels a side.
    assert nodes(section).size == (16 * 30 - 2, 8 * 30 - 2)
    assert "Against its row" not in said(section)
    # And the same folder has the same page.
    assert portrait(here) == section

    # But when a row says more than its network, that is told.
    results = here.runs / "a" / "results.jsonl"
    rows = here.command_line.rows("a")
    rows[0]["validation_score"][-1] = 0.999
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "The row says 99.90 %: one of them is not this network's" in said(portrait(here))


def test_without_weights_it_says_the_command_that_makes_them_again(here: InProcess) -> None:
    section, best = portrait(here), best_row(here)
    # Given weights that were damaged
    weights = list((here.runs / "a" / "weights").iterdir())
    for file in weights:
        file.write_bytes(b"\x00" * 1000)
    # Then they are not shown, and not taken for missing ones
    found = said(portrait(here))
    assert " are damaged" in found
    assert str(here.folder) not in found

    # Given a sweep whose weights were left out when its folder was sent, under another name
    for file in weights:
        file.unlink()
    folder = (here.runs / "a").rename(here.runs / "theirs")
    # Then its report has no portrait, but the command that brings it back
    without = portrait(here, "theirs")
    assert f"its weights {best['weights_sha256'][:12]} are missing" in said(without)
    assert "This trains its job again, to the same bits" in said(without)
    assert "<img" not in without
    words = command(without)
    here.command_line.run(*words[1:])
    folder.rename(here.runs / "a")
    assert words == ["orchestrator", "weights", "theirs", best["job"][:12]]
    assert portrait(here) == section


def test_without_the_data_set_it_says_what_is_missing(here: InProcess) -> None:
    # Given a sweep of small images, and a report of it
    data = here.folder / "images"
    write_idx_folder(data, train=200, test=40, side=9)
    words = small(seeds="0", learning_rates="0.01", epochs="1", limit="100")
    here.command_line.run("sweep", *words, "--hidden", "8,4", "--data", str(data), "--name", "b", status=1)
    whole = portrait(here, "b")
    assert nodes(whole).size == (4 * 11 - 2, 2 * 11 - 2)
    # When the data set is gone, then the report says so,
    data.rename(here.folder / "elsewhere")
    without = portrait(here, "b")
    assert "cannot be shown without its data set" in said(without)
    assert str(here.folder) not in said(without)
    assert command(without) == ["orchestrator", "report", "b"]
    # in the same words if another one is in its place,
    write_idx_folder(data, train=100, test=40, side=9)
    assert portrait(here, "b") == without
    # and with it, all is shown again.
    shutil.rmtree(data)
    (here.folder / "elsewhere").rename(data)
    assert portrait(here, "b") == whole


def test_a_network_that_diverged_has_no_nodes_to_show(here: InProcess) -> None:
    here.command_line.finished("d", *small(seeds="0", learning_rates="1e38", limit="500"), status=1)
    section = portrait(here, "d")
    assert len(confusion(section)) == 10
    assert "nodes" not in section
    assert "not a number sure" in section
