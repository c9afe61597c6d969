"""docs/results/index.md: its script makes the same page of the same sweeps, and the page that is kept is complete."""

import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
PAGE = DOCS / "results" / "index.md"
FIGURES = DOCS / "results" / "figures"
BLOCK = re.compile(r"<!-- begin (\S+) -->\n(.*?)<!-- end \1 -->\n", re.DOTALL)


def make(line: CommandLine, folder: Path, **sweeps: str) -> dict[str, str]:
    """Fill the page in a folder with the sweeps of its parts; return its blocks. A new page is an empty copy."""
    folder.mkdir(exist_ok=True)
    if not (folder / "results.md").exists():
        (folder / "results.md").write_text(BLOCK.sub(r"<!-- begin \1 -->\n<!-- end \1 -->\n", PAGE.read_text()))
    folders = [
        word
        for part, names in sweeps.items()
        for word in (f"--{part}", *(str(line.sweep(name)) for name in names.split()))
    ]
    script = [sys.executable, str(DOCS / "make_results.py"), *folders]
    into = ["--page", str(folder / "results.md"), "--figures", str(folder / "figures")]
    done = subprocess.run(
        [*script, *into], env=line.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(BLOCK.findall((folder / "results.md").read_text()))


def table(block: str) -> list[list[str]]:
    """Return the cells of a table: its headings, and then its rows."""
    heads, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.strip().split("\n"))
    return [heads, *rows]


@pytest.mark.slow(reason="runs sweeps and draws their charts twice")
def test_the_script_fills_the_page_with_the_same_bytes_each_time(command_line: CommandLine, tmp_path: Path) -> None:
    # Given small sweeps of both rules
    small = ("--seeds", "0-4", "--epochs", "2", "--limit", "400")
    command_line.run("sweep", *small, "--learning-rates", "0.001", "--rule", "notebook", "--dtype", "float64",
                     "--name", "notebook-rule")  # fmt: skip
    command_line.run("sweep", *small, "--learning-rates", "0.01,0.1", "--name", "backprop-rule")

    # When the page is made twice
    for name in ("first", "second"):
        blocks = make(command_line, tmp_path / name, notebook="notebook-rule", backprop="backprop-rule")

    # Then both are the same to the byte, pictures too,
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*.*"))
    # (the study of initialization is another sweep)
    figures = {path.name for path in FIGURES.iterdir()} - {"initialization.svg"}
    assert [path.name for path in files] == [*sorted(figures), "results.md"]
    for path in files:
        assert (tmp_path / "first" / path).read_bytes() == (tmp_path / "second" / path).read_bytes()
    # the table counts every network once, and has the true accuracy of the rows,
    _, *counts = table(blocks["notebook-counts"])
    assert sum(int(cells[1]) for cells in counts[:-1]) == int(counts[-1][1]) == 5
    accuracies = [100 * row["validation_score"][-1] for row in command_line.rows("notebook-rule")]
    assert [float(cell) for cell in counts[-1][-2:]] == pytest.approx([min(accuracies), max(accuracies)], abs=0.006)
    # and the rule's networks moved as one number a layer, of which the output layer's has no effect
    assert "more than 0e+00" not in blocks["notebook-networks"]
    assert re.search(r"more than \de-1[67]: rounding", blocks["notebook-networks"])
    assert "put back, 0 of 5 x 10,500 predictions change" in blocks["notebook-networks"]


@pytest.mark.slow(reason="runs a sweep and a race")
def test_the_answers_of_the_page_are_those_of_the_commands(command_line: CommandLine, tmp_path: Path) -> None:
    # Given a sweep, and a race between rates of which one learns and one does not
    words = ("--epochs", "1", "--limit", "400", "--learning-rates", "0.0001,0.1", "--seeds", "0-4")
    command_line.run("sweep", *words, "--name", "rates")
    command_line.run("sweep", *words, "--name", "race")
    decided = command_line.run("decide", "race", "--within", "0.001", "--budget", "20")
    # When the page is made of them
    blocks = make(command_line, tmp_path, rates="rates", starts="rates", race="race")
    # Then it says what the commands say
    told = command_line.run("leaderboard", "rates", "--markdown", "--wide").stdout
    assert blocks["answer-rates"].strip() == blocks["answer-starts"].strip() == told.strip()
    assert len(blocks["answer-noise"].strip().split("\n")) == 2
    for line in blocks["answer-race"].strip().split("\n"):
        assert re.sub(r"^\d+ jobs, up to \d+ seeds: ", "", line.strip("-* ")).rstrip(".") in decided.stdout


@pytest.mark.slow(reason="runs two sweeps")
def test_one_split_for_all_seeds_is_compared_with_a_split_for_each(command_line: CommandLine, tmp_path: Path) -> None:
    # Given the same sweep with both kinds of splits
    for split in ("fixed", "seed"):
        command_line.run("sweep", "--seeds", "0-3", "--epochs", "1", "--limit", "400", "--learning-rates", "0.03,0.1",
                         "--split", split, "--name", split)  # fmt: skip

    _, *lines = table(make(command_line, tmp_path / "page", splits="fixed seed")["splits-spread"])

    # Then the table has the deviations of the rows, and between them the modelled one, which is wider than the first
    for rate, seeds, fixed, modelled, drawn, *_ in lines:
        assert (seeds, float(modelled) > float(fixed)) == ("4", True)
        for split, found in (("fixed", fixed), ("seed", drawn)):
            rows = [row for row in command_line.rows(split) if row["options"]["learning_rate"] == float(rate)]
            scores = [100 * row["validation_score"][-1] for row in rows]
            assert float(found) == pytest.approx(statistics.stdev(scores), abs=0.0006)
    assert [line[0] for line in lines] == ["0.03", "0.1"]


def test_the_page_that_is_kept_is_complete() -> None:
    text = PAGE.read_text()
    blocks = dict(BLOCK.findall(text))
    assert len(blocks) == 16
    for block in blocks.values():
        assert re.search(r"^(\| .*\d|- .*\d)", block, re.MULTILINE)
    # The answers are of 20 seeds, at 6 learning rates.
    assert re.findall(r"^\| \d+ .*?\| (\d+/\d+) \|", blocks["answer-rates"], re.MULTILINE) == ["20/20"] * 6
    assert "**Use learning rate" in blocks["answer-rates"]
    # Each picture of the page is kept, and each kept picture is on the page
    assert sorted(re.findall(r"\(figures/(.*?)\)", text)) == sorted(path.name for path in FIGURES.iterdir())
    # The sweeps are large enough to answer the question: 200 seeds, and 50 at each of 5 learning rates
    networks = int(table(blocks["notebook-counts"])[-1][1])
    seeds = [int(line[1]) for line in table(blocks["backprop-accuracy"])[1:]]
    assert networks >= 200
    assert len(seeds) >= 5
    assert min(seeds) >= 50
    # and that of initialization at least 5 of them, each with and without biases, at 4 rates under 20 seeds.
    header, *variants = table(blocks["initialization-accuracy"])
    assert header[:2] == ["initialization", "biases"]
    assert len(header[2:]) >= 4
    assert len(variants) == len({tuple(line[:2]) for line in variants}) >= 10
    jobs = int(re.findall(r"of all (\d+) final accuracies", blocks["initialization-answer"])[0])
    assert jobs >= 20 * len(variants) * len(header[2:])
