"""`orchestrator report --chart`: one chart of a sweep as a picture, as the command writes it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from orchestrator.report.charts.style import LIGHT
from tests.support.boards import trained
from tests.support.command_line import CommandLine
from tests.support.snapshots import folder_of
from tests.support.sweeps import sweep_of
from worker.job import Job

CHARTS = "intervals, metric-by-learning_rate, curves, differences"


def ended(job: Job) -> object:
    return trained(job, 0.5 + job.options.learning_rate + 0.01 * job.seed)


@pytest.fixture
def swept(command_line: CommandLine) -> CommandLine:
    """Three seeds of two learning rates, of which nobody knows when they were trained."""
    folder_of(command_line.folder / "runs", sweep_of(seeds=(0, 1, 2), learning_rates=(0.1, 0.2), epochs=2), ended)
    return command_line


def test_a_chart_is_written_as_a_picture(swept: CommandLine) -> None:
    swept.run("report", "a", "--chart", "curves")
    png = Image.open(swept.folder / "a.curves.png")
    assert png.format == "PNG"
    assert png.width > 800
    assert png.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    # Not an empty frame: the first line is drawn in its colour.
    colours = {colour for _, colour in png.convert("RGB").getcolors(2**24)}
    assert tuple(bytes.fromhex(LIGHT["1"][1:])) in colours

    swept.run("report", "a", "--chart", "curves", "--format", "pdf")
    pdf = (swept.folder / "a.curves.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert len(pdf) > 5_000

    said = json.loads(swept.run("report", "a", "--chart", "intervals", "--to", "x.svg", "--json").stdout)
    svg = (swept.folder / "x.svg").read_bytes()
    assert said == {"path": "x.svg", "chart": "intervals", "format": "svg", "bytes": len(svg)}


def test_an_svg_can_be_read_by_itself(swept: CommandLine) -> None:
    swept.run("report", "a", "--chart", "intervals", "--to", "x.svg")
    root = ElementTree.parse(swept.folder / "x.svg").getroot()  # noqa: S314 - our own
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert "Validation accuracy: mean and interval of each configuration, by rank" in texts
    assert {"0.1", "0.2", "71.00 %", "61.00 %"} <= set(texts)
    # Other programs know no variables of CSS.
    assert "var(" not in (swept.folder / "x.svg").read_text()
    assert root[0].get("fill") == LIGHT["ground"]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_folder_gives_the_same_picture(swept: CommandLine, form: str) -> None:
    pictures = set()
    for seed in ("1", "2"):
        swept.run("report", "a", "--chart", "curves", "--to", f"{seed}.{form}", PYTHONHASHSEED=seed)
        pictures.add((swept.folder / f"{seed}.{form}").read_bytes())
    assert len(pictures) == 1


def test_an_earlier_picture_is_overwritten_and_nothing_else(swept: CommandLine) -> None:
    (swept.folder / "a.curves.png").write_bytes(b"mine")
    done = swept.run("report", "a", "--chart", "curves", status=2)
    assert done.stderr == (
        "orchestrator: The chart a.curves.png cannot be written: it exists and is no PNG file (--to FILE writes it "
        "elsewhere)\n"
    )
    assert (swept.folder / "a.curves.png").read_bytes() == b"mine"

    Image.new("RGB", (1, 1)).save(swept.folder / "a.curves.png")
    swept.run("report", "a", "--chart", "curves")
    assert Image.open(io.BytesIO((swept.folder / "a.curves.png").read_bytes())).width > 800


ALLOWED = f"allowed: {CHARTS}"
NONE = "the sweep has no such chart, because"
BAD = {
    ("--chart", "nothing"): f"--chart is 'nothing'; {ALLOWED}\n",
    ("--chart", "metric-by-epochs"): f"--chart is 'metric-by-epochs'; {ALLOWED}\n",
    ("--chart", "heatmap"): f"--chart is 'heatmap'; {ALLOWED}; {NONE} it needs exactly two options that vary, not 1\n",
    ("--chart", "timeline"): f"--chart is 'timeline'; {ALLOWED}; {NONE} no attempt at one of its jobs has times\n",
    ("--chart", "curves", "--format", "gif"): "--format is 'gif'; allowed: png, svg or pdf\n",
    ("--chart", "curves", "--to", "x.gif"): "--to is 'x.gif'; allowed: a name that ends in .png, .svg or .pdf\n",
    ("--chart", "curves", "--to", "x.svg", "--format", "png"): "--to is 'x.svg'; allowed: a name that ends in .png\n",
    ("--format", "png"): "--chart is missing; allowed: the name of a chart, of which --format is the format\n",
    ("--chart", "curves", "--to", ""): "--to is ''; allowed: the path of a file\n",
    ("--chart", "curves", "--to", "no/x.png"): "The chart no/x.png cannot be written: No such file or directory",
    ("--chart", "curves", "--to", "/dev/null"): "The chart /dev/null cannot be written: it exists and is no PNG file",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_one_sentence(swept: CommandLine, words: tuple[str, ...]) -> None:
    before = sorted(swept.folder.rglob("*"))
    done = swept.run("report", "a", *words, status=2)
    assert done.stderr.startswith(f"orchestrator: {BAD[words]}")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert sorted(swept.folder.rglob("*")) == before


def test_a_sweep_without_results_has_no_chart(command_line: CommandLine) -> None:
    folder_of(command_line.folder / "runs", sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.2)), lambda _: None)
    done = command_line.run("report", "a", "--chart", "curves", status=2)
    assert done.stderr == (f"orchestrator: --chart is 'curves'; allowed: nothing yet; {NONE} no job has a result\n")


def test_without_the_extra_it_says_how_to_install_it(swept: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'vl_convert':\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    done = swept.run("report", "a", "--chart", "curves", status=2, PYTHONPATH=str(tmp_path))
    assert "pip install 'seedsweep[report]'" in done.stderr
    assert done.stderr.count("\n") == 1
