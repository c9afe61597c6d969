"""`orchestrator report`: the page of a sweep, as the command writes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orchestrator.commands.publishing.report import report
from orchestrator.errors import OutputError
from tests.support.boards import trained
from tests.support.command_line import SMALL, CommandLine
from tests.support.privileges import public_folder, without_privileges
from tests.support.snapshots import folder_of
from tests.support.sweeps import sweep_of

SECTIONS = ["verdict", "table", "metric", "curves", "differences", "accounting", "network", "reproduce", "provenance"]
#: Anything that would make a browser ask for something.
ADDRESS = re.compile(
    r"""\b(?:src|href|action|poster)="(?!#|data:image/png;base64,)|url\((?!#)|@import|<(?:link|iframe|object|embed)"""
)


@pytest.fixture
def swept(command_line: CommandLine) -> CommandLine:
    """Two seeds and two learning rates, finished."""
    command_line.finished("a", *SMALL)
    return command_line


def test_a_finished_sweep_gets_one_page_that_loads_nothing(swept: CommandLine) -> None:
    said = json.loads(swept.run("report", "a", "--json").stdout)

    page = (swept.sweep("a") / "report.html").read_text()
    assert said == {"path": "runs/a/report.html", "bytes": len(page.encode()), "jobs": 4, "ended": 4}
    assert re.findall(r'<section id="([a-z]+)"', page) == SECTIONS
    assert "default-src &#39;none&#39;" in page
    markup = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    assert not ADDRESS.search(markup)
    assert not re.search(r"<[^>]*\s(style|on\w+)\s*=", markup)


def test_the_same_folder_gives_the_same_bytes(swept: CommandLine) -> None:
    pages = set()
    for seed in ("1", "2"):
        swept.run("report", "a", "--to", f"{seed}.html", PYTHONHASHSEED=seed)
        pages.add((swept.folder / f"{seed}.html").read_bytes())

    # Nor does an earlier report change the next one.
    assert "Report: runs/a/report.html" in swept.run("report", "a").stdout
    swept.run("report", "runs/a")
    pages.add((swept.sweep("a") / "report.html").read_bytes())
    assert len(pages) == 1


def test_a_sweep_writes_its_report_at_the_end(command_line: CommandLine) -> None:
    done = command_line.run("sweep", *SMALL, "--name", "a", "--report")
    assert done.stdout.splitlines()[-1] == "Report: runs/a/report.html"
    assert (command_line.sweep("a") / "report.html").exists()

    # Where it cannot be written, the sweep's own outcome stands.
    (command_line.sweep("a") / "report.html").write_text("mine")
    again = command_line.run("sweep", "--resume", "--name", "a", "--report", "--json")
    assert json.loads(again.stdout)["report"] is None
    assert (
        "The report was not written: The report runs/a/report.html cannot be written: it exists and is no report"
        in (again.stderr)
    )
    assert (command_line.sweep("a") / "report.html").read_text() == "mine"


def test_a_sweep_that_runs_says_so(swept: CommandLine) -> None:
    rows = swept.sweep("a") / "results.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:3]))

    assert "3 of 4 jobs ended" in swept.run("report", "a").stdout

    page = (swept.sweep("a") / "report.html").read_text()
    assert "3 of 4 jobs have ended" in page


def test_a_sweep_without_results_has_a_page(swept: CommandLine) -> None:
    (swept.sweep("a") / "results.jsonl").unlink()

    swept.run("report", "a")

    page = (swept.sweep("a") / "report.html").read_text()
    assert "No job has a result" in page
    assert re.findall(r'<section id="([a-z]+)"', page) == SECTIONS


def test_a_folder_that_one_may_only_read_has_a_report_elsewhere(tmp_path: Path) -> None:
    with public_folder() as public:
        folder = folder_of(
            public / "runs", sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.2), epochs=2), lambda job: trained(job, 0.5)
        )
        (public / "to").mkdir()
        (public / "to").chmod(0o777)
        for path in (folder.path, *folder.path.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        # Python's own modules may be closed to others: what is needed is imported before.
        report(folder, tmp_path / "a.html")
        before = sorted(path.name for path in folder.path.iterdir())
        with without_privileges():
            with pytest.raises(OutputError, match=r"a/report.html cannot be written: Permission denied \(--to FILE"):
                report(folder)
            assert report(folder, public / "to" / "a.html").bytes > 10_000
        assert sorted(path.name for path in folder.path.iterdir()) == before


def test_the_page_is_opened_or_said_to_be_there(swept: CommandLine) -> None:
    # Given a browser that writes down what it is to open
    browser, opened = swept.folder / "browser", swept.folder / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    page = (swept.sweep("a") / "report.html").absolute()

    done = swept.run("report", "a", "--open", BROWSER=str(browser))
    assert (done.stderr, opened.read_text()) == ("", f"{page.as_uri()}\n")

    # Without any, the page is there all the same.
    done = swept.run("report", "a", "--open", BROWSER="", DISPLAY="", WAYLAND_DISPLAY="", PATH="/nowhere")
    assert done.stderr == f"There is no browser to open; the report is {page}\n"


@pytest.fixture
def taken(tmp_path: Path) -> dict[str, Path]:
    """Things that are no report."""
    files = {name: tmp_path / name for name in ("file", "folder", "link", "lost")}
    files["file"].write_text("<!doctype html>\nmine")
    files["folder"].mkdir()
    files["link"].symlink_to(files["file"])
    files["lost"].symlink_to(tmp_path / "nowhere")
    return files


@pytest.mark.parametrize("kind", ["file", "folder", "link", "lost"])
def test_nothing_but_a_report_is_overwritten(swept: CommandLine, taken: dict[str, Path], kind: str) -> None:
    before = taken["file"].read_text()

    done = swept.run("report", "a", "--to", str(taken[kind]), status=2)

    assert done.stderr == (
        f"orchestrator: The report {taken[kind]} cannot be written: it exists and is no report "
        "(--to FILE writes it elsewhere)\n"
    )
    assert taken["file"].read_text() == before
    assert not (swept.folder / "nowhere").exists()


BAD = {
    ("report", "nothing"): "There is no sweep 'nothing': neither a sweep folder nor a name in runs",
    ("report", "a", "--to", ""): "--to is ''; allowed: the path of a file",
    ("report", "a", "--to", "no/where.html"): "The report no/where.html cannot be written: No such file or directory",
    ("report", "a", "--to", "/dev/null"): "The report /dev/null cannot be written: it exists and is no report",
    ("report", "empty"): "There is no sweep 'empty'",
    ("report", "damaged"): "runs/damaged/sweep.json does not describe a sweep",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_one_sentence(swept: CommandLine, words: tuple[str, ...]) -> None:
    swept.sweep("empty").mkdir()
    swept.sweep("damaged").mkdir()
    (swept.sweep("damaged") / "sweep.json").write_text("{")

    done = swept.run(*words, status=2)

    assert done.stderr.startswith(f"orchestrator: {BAD[words]}")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


@pytest.mark.parametrize("package", ["altair", "vl_convert", "jinja2"])
def test_without_its_packages_it_says_how_to_install_them(swept: CommandLine, package: str) -> None:
    hidden = swept.folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    for words in (("report", "a"), ("sweep", *SMALL, "--name", "b", "--report")):
        done = swept.run(*words, status=2, PYTHONPATH=str(hidden))
        assert "pip install 'seedsweep[report]'" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not swept.sweep("b").exists()
