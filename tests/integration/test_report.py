"""`orchestrator report`: the page of a sweep, and one of its charts as a picture, as the command writes them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from orchestrator.analysis.sweep import Sweep
from orchestrator.commands.report import report
from orchestrator.errors import OutputError
from orchestrator.report.charts.style import LIGHT
from orchestrator.report.page.render import environment
from tests.support.boards import folder_of
from tests.support.command_line import QUICK, SMALL, CommandLine
from tests.support.in_process import InProcess
from tests.support.privileges import public_folder, without_privileges

SECTIONS = ["verdict", "table", "metric", "curves", "differences", "accounting", "model", "reproduce", "provenance"]
#: Anything that would make a browser ask for something.
ADDRESS = re.compile(
    r"""\b(?:src|href|action|poster)="(?!#|data:image/png;base64,)|url\((?!#)|@import|<(?:link|iframe|object|embed)"""
)
#: What the command makes of the sweep `a`: its words, and the name of the file.
MADE = {
    "a.html": ("report", "a", "--to"),
    "a.svg": ("report", "a", "--chart", "curves", "--to"),
    "a.png": ("report", "a", "--chart", "curves", "--to"),
}


@pytest.fixture
def here(here: InProcess) -> InProcess:
    """A working folder with three seeds of two learning rates, of which nobody knows when they were trained."""
    folder_of(here.runs, {rate: [0.5 + rate + 0.01 * seed for seed in range(3)] for rate in (0.1, 0.2)})
    return here


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="([a-z]+)"', page)


def test_a_page_loads_nothing_and_says_how_far_its_sweep_is(here: InProcess) -> None:
    said = here.asked("report", "a")

    page = (here.runs / "a" / "report.html").read_text()
    assert said == {"path": "runs/a/report.html", "bytes": len(page.encode()), "jobs": 6, "ended": 6}
    assert sections(page) == SECTIONS
    assert "default-src &#39;none&#39;" in page
    markup = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    assert not ADDRESS.search(markup)
    assert not re.search(r"<[^>]*\s(style|on\w+)\s*=", markup)

    # Given the same sweep when half of its jobs had ended
    results = here.runs / "a" / "results.jsonl"
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:3]))
    assert "3 of 6 jobs ended" in here.run("report", "a").out
    assert "3 of 6 jobs are done" in (here.runs / "a" / "report.html").read_text()

    # And before the first one had ended
    results.unlink()
    page = here.page("a")
    assert "No job has a result" in page
    assert sections(page) == [each for each in SECTIONS if each != "model"]


def test_the_same_folder_gives_the_same_bytes(here: InProcess) -> None:
    """Also in another process, in which Python orders sets by other hashes."""
    commands = [[*words, f"other-{file}"] for file, words in MADE.items()]
    program = "import json, sys; from orchestrator.cli.main import run\nfor each in json.loads(sys.argv[1]): run(each)"
    subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands)],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True,
        check=True,
    )

    for file, words in MADE.items():
        here.run(*words, file)
        assert (here.folder / file).read_bytes() == (here.folder / f"other-{file}").read_bytes()
    # Nor does an earlier report change the next one, or the name by which the sweep is found.
    assert "Report: runs/a/report.html" in here.run("report", "a").out
    here.run("report", "runs/a")
    assert (here.runs / "a" / "report.html").read_bytes() == (here.folder / "a.html").read_bytes()


def test_a_sweep_writes_its_report_at_the_end(command_line: CommandLine) -> None:
    done = command_line.run("sweep", *QUICK, "--name", "a", "--report")
    assert done.stdout.splitlines()[-1] == "Report: runs/a/report.html"
    assert (command_line.sweep("a") / "report.html").exists()

    # If it cannot be written, the sweep's own outcome stands.
    (command_line.sweep("a") / "report.html").write_text("mine")
    again = command_line.run("sweep", "--resume", "--name", "a", "--report", "--json")
    assert json.loads(again.stdout)["report"] is None
    assert "as it was before" not in again.stderr
    assert (
        "The report was not written: The report runs/a/report.html cannot be written: what exists there is not a report"
        in again.stderr
    )
    assert (command_line.sweep("a") / "report.html").read_text() == "mine"


def test_a_folder_that_one_may_only_read_has_a_report_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python's modules and our templates may be closed to others: the first report reads all of them, and the next ones
    # need not look whether a template has changed.
    monkeypatch.setattr(environment("orchestrator.report.page"), "auto_reload", False)
    with public_folder() as public:
        folder = folder_of(public / "runs", {0.1: [0.5, 0.5], 0.2: [0.5, 0.5]})
        (public / "to").mkdir()
        (public / "to").chmod(0o777)
        report(Sweep.read(folder), tmp_path / "a.html")
        for path in (folder.path, *folder.path.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = sorted(path.name for path in folder.path.iterdir())
        with without_privileges():
            with pytest.raises(OutputError, match=r"a/report.html cannot be written: Permission denied \(--to FILE"):
                report(Sweep.read(folder))
            assert report(Sweep.read(folder), public / "to" / "a.html").bytes > 10_000
        assert sorted(path.name for path in folder.path.iterdir()) == before
        folder.path.chmod(0o755)


def test_the_page_is_opened_or_said_to_be_there(here: InProcess) -> None:
    # Given a browser that writes down what it is to open
    browser, opened = here.folder / "browser", here.folder / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(0o755)
    page = (here.runs / "a" / "report.html").absolute()

    done = here.command_line.run("report", "a", "--open", BROWSER=str(browser))
    assert (done.stderr, opened.read_text()) == ("", f"{page.as_uri()}\n")

    # Without any, the page is there all the same.
    done = here.command_line.run("report", "a", "--open", BROWSER="", DISPLAY="", WAYLAND_DISPLAY="", PATH="/nowhere")
    assert done.stderr == f"There is no browser to open; the report is {page}\n"


@pytest.mark.parametrize(
    ("words", "what"), [((), "report"), (("--chart", "curves", "--format", "png"), "chart")], ids=["page", "picture"]
)
def test_nothing_but_an_earlier_one_is_overwritten(here: InProcess, words: tuple[str, ...], what: str) -> None:
    form, ending = {"report": ("report", "html"), "chart": ("PNG file", "png")}[what]
    files = {name: here.folder / f"{name}.{ending}" for name in ("file", "folder", "link", "lost")}
    files["file"].write_text("<!doctype html>\nmine")
    files["folder"].mkdir()
    files["link"].symlink_to(files["file"])
    files["lost"].symlink_to(here.folder / "nowhere")
    for file in files.values():
        assert here.refused("report", "a", *words, "--to", str(file)) == (
            f"The {what} {file} cannot be written: what exists there is not a {form} (--to FILE writes it elsewhere)\n"
        )
    assert files["file"].read_text() == "<!doctype html>\nmine"
    assert list(files["folder"].iterdir()) == []
    assert not (here.folder / "nowhere").exists()


def test_a_chart_is_written_as_a_picture(here: InProcess) -> None:
    # Given an earlier picture, which is overwritten
    Image.new("RGB", (1, 1)).save(here.folder / "a.curves.png")
    here.run("report", "a", "--chart", "curves")
    png = Image.open(here.folder / "a.curves.png")
    assert png.format == "PNG"
    assert png.width > 800
    assert png.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    # Not an empty frame: the first line is drawn in its colour.
    colours = {colour for _, colour in png.convert("RGB").getcolors(2**24)}
    assert tuple(bytes.fromhex(LIGHT["1"][1:])) in colours

    here.run("report", "a", "--chart", "curves", "--format", "pdf")
    pdf = (here.folder / "a.curves.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert len(pdf) > 5_000

    said = here.asked("report", "a", "--chart", "intervals", "--to", "x.svg")
    svg = (here.folder / "x.svg").read_bytes()
    assert said == {"path": "x.svg", "chart": "intervals", "format": "svg", "bytes": len(svg)}
    # Another program can show it by itself, which knows no variables of CSS.
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert "Validation accuracy: mean and interval of each configuration, by rank" in texts
    assert {"0.1", "0.2", "71.00 %", "61.00 %"} <= set(texts)
    # Each line of its caption is below the one before.
    first, *others = [each.get("dy") for each in root.iter() if each.tag.endswith("tspan")]
    assert first is None
    assert len(others) == len(list(filter(None, others))) > 0
    assert b"var(" not in svg
    assert root[0].get("fill") == LIGHT["ground"]


@pytest.mark.parametrize("package", ["altair", "vl_convert", "jinja2"])
def test_without_its_packages_it_says_how_to_install_them(
    here: InProcess, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for what, words in {
        "The report": ("report", "a"),
        "--report": ("sweep", *SMALL, "--name", "b", "--report"),
        "A chart": ("report", "a", "--chart", "curves"),
        "The live page": ("serve",),
    }.items():
        assert here.refused(*words).startswith(
            f"{what} needs the package {package}: pip install 'seedsweep[report]', or "
        )
    assert not (here.runs / "b").exists()


def test_commands_that_need_no_extra_work_without_any(here: InProcess) -> None:
    # Given a Python in which no package of an extra can be imported
    program = (
        "import sys\n"
        "extras = ('altair', 'vl_convert', 'jinja2', 'mlflow', 'sqlalchemy', 'alembic', 'tensorboard')\n"
        "sys.modules.update(dict.fromkeys(extras))\n"
        "from orchestrator.cli.main import run\n"
        "print(*[run(words.split()) for words in sys.argv[1:]], file=sys.stderr)"
    )
    # Then charts in the terminal and files of CSV are made there.
    works = ("plot a curves", "export a --to csv")
    done = subprocess.run([sys.executable, "-c", program, *works], capture_output=True, text=True, check=True)
    assert done.stderr == "0 0\n"
