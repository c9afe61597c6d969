"""The portrait of a sweep's best network, in reports of real sweeps."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nn.datasets import idx
from nn.datasets.mnist import BUNDLED
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.idx_files import write_idx_folder
from tests.support.report_folders import SWEEPS


def portrait(command_line: CommandLine, name: str) -> str:
    """Write a sweep's report, and return the section about its network."""
    command_line.run("report", name)
    page = (command_line.sweep(name) / "report.html").read_text()
    return re.findall(r'<section id="network".*?</section>', page, re.DOTALL)[0]


def said(section: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", section).split()))


def command(section: str) -> list[str]:
    """Return the words of the command that a section shows."""
    return shlex.split(html.unescape(re.sub("<[^>]*>", "", re.findall(r"<code[^>]*>(.*?)</code>", section)[0])))


def image(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def confusion(section: str) -> list[list[int]]:
    body = section[section.index("<tbody>") : section.index("</tbody>")]
    cells = r'<td class="(?:right|shade-\d)">(\d+)</td>'
    return [[int(count) for count in re.findall(cells, row)] for row in body.split("</tr>")[:-1]]


def test_it_shows_what_show_says(command_line: CommandLine) -> None:
    # Given a sweep, and what `show` says of its best job
    command_line.finished("a", *SMALL)
    best = max(command_line.rows("a"), key=lambda row: row["validation_score"][-1])
    answer: dict[str, Any] = json.loads(command_line.run("show", "a", best["job"][:12], "--json").stdout)
    # Then the report has the same confusions,
    section = portrait(command_line, "a")
    assert confusion(section) == answer["confusion_matrix"]
    # the same mistakes, as the images that they are, the most confident first,
    shown = re.findall(r'<img src="([^"]+)" width="84" height="84" alt="([^"]+)"', section)
    assert len(shown) == 24
    images, _ = idx.read_folder(BUNDLED)
    for mistake, (address, alt) in zip(answer["mistakes"], shown, strict=False):
        assert alt.startswith(f"Image {mistake['image']}: a {mistake['true']} that the network took for a ")
        assert f"took for a {mistake['predicted']}, " in alt
        assert np.array_equal(np.asarray(image(address)).ravel(), 255 - images[mistake["image"]])
    # and the first layer of the network: 128 tiles of 28 pixels a side
    nodes = image(re.findall(r'<figure class="nodes">.*?src="([^"]+)"', section, re.DOTALL)[0])
    assert nodes.size == (16 * 30 - 2, 8 * 30 - 2)
    # And the same folder has the same page.
    assert portrait(command_line, "a") == section


def test_without_weights_it_says_the_command_that_makes_them_again(command_line: CommandLine) -> None:
    # Given a sweep whose weights were left out when its folder was sent
    command_line.finished("a", *SMALL)
    section = portrait(command_line, "a")
    best = max(command_line.rows("a"), key=lambda row: row["validation_score"][-1])["weights_sha256"]
    for file in (command_line.sweep("a") / "weights").iterdir():
        file.unlink()
    # Then its report has no portrait, but the command that brings it back
    without = portrait(command_line, "a")
    assert f"its weights {best[:12]} are missing" in said(without)
    assert "This trains 4 jobs whose weights are missing again, to the same bits" in said(without)
    assert "<img" not in without
    words = command(without)
    assert words == ["orchestrator", "sweep", "--resume", "--name", "a"]
    command_line.run(*words[1:])
    assert portrait(command_line, "a") == section


def test_damaged_weights_are_not_shown(command_line: CommandLine) -> None:
    command_line.finished("a", *SMALL)
    for file in (command_line.sweep("a") / "weights").iterdir():
        file.write_bytes(b"\x00" * 1000)
    found = said(portrait(command_line, "a"))
    assert " are damaged" in found
    assert "whose weights are missing" not in found
    assert str(command_line.folder) not in found


def test_without_the_data_set_it_says_what_is_missing(command_line: CommandLine) -> None:
    # Given a sweep of small images, and a report of it
    data = command_line.folder / "images"
    write_idx_folder(data, train=200, test=40, side=9)
    words = small(seeds="0-1", learning_rates="0.01", epochs="1", limit="100")
    command_line.run("sweep", *words, "--hidden", "5,4", "--data", str(data), "--name", "a", status=1)
    whole = portrait(command_line, "a")
    nodes = image(re.findall(r'<figure class="nodes">.*?src="([^"]+)"', whole, re.DOTALL)[0])
    assert nodes.size == (4 * 11 - 2, 2 * 11 - 2)
    # When the data set is gone, then the report says so,
    data.rename(command_line.folder / "elsewhere")
    without = portrait(command_line, "a")
    assert "cannot be shown without its data set" in said(without)
    assert str(command_line.folder) not in said(without)
    assert command(without) == ["orchestrator", "report", "a"]
    # in the same words if another one is in its place,
    write_idx_folder(data, train=100, test=40, side=9)
    assert portrait(command_line, "a") == without
    # and with it, all is shown again.
    for file in data.iterdir():
        file.unlink()
    data.rmdir()
    (command_line.folder / "elsewhere").rename(data)
    assert portrait(command_line, "a") == whole


def test_a_row_that_says_more_than_its_network_is_told(command_line: CommandLine) -> None:
    command_line.finished("a", *SMALL)
    assert "Against its row" not in said(portrait(command_line, "a"))
    results = command_line.sweep("a") / "results.jsonl"
    results.write_text(_flattered(results))
    assert "The row says 99.90 %: one of the two is not this network's" in said(portrait(command_line, "a"))


def _flattered(results: Path) -> str:
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    rows[0]["validation_score"][-1] = 0.999
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_sweep_of_another_trainer_has_none(command_line: CommandLine) -> None:
    words, status = SWEEPS["axes"]
    command_line.finished("axes", *words, status=status)
    found = said(portrait(command_line, "axes"))
    assert "There is no portrait: only models of the trainer network have one, and this sweep's is sklearn" in found


def test_a_network_that_diverged_has_no_nodes_to_show(command_line: CommandLine) -> None:
    command_line.run("sweep", *small(seeds="0", learning_rates="1e38", limit="500"), "--name", "a", status=1)
    section = portrait(command_line, "a")
    assert len(confusion(section)) == 10
    assert "nodes" not in section
    assert "not a number sure" in section
