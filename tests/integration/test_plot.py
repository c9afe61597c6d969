"""`orchestrator plot`: charts in the terminal, as the command prints them."""

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.plot import drawn, plot
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.rounds import Look, Round
from tests.support.boards import folder_of
from tests.support.in_process import InProcess


@pytest.fixture
def swept(here: InProcess) -> InProcess:
    """Five seeds of three learning rates, which are 0.1 apart; one of the last rate diverged."""
    low, middle, high = ([first + 0.01 * seed for seed in range(5)] for first in (0.5, 0.6, 0.7))
    folder_of(here.runs, {0.001: low, 0.01: middle, 0.1: [*high[:-1], "diverged"]})
    return here


def test_the_intervals_are_the_leaderboards(swept: InProcess) -> None:
    found = swept.asked("plot", "a")
    board = swept.asked("leaderboard", "a")["rows"]

    assert [row["learning rate"] for row in found["rows"]] == [f"{row['options']['learning_rate']:g}" for row in board]
    for row, standing in zip(found["rows"], board, strict=True):
        assert row["mean"] == pytest.approx(100 * standing["mean"])
        assert row["interval"] == pytest.approx([100 * standing["low"], 100 * standing["high"]])
        assert row["contender"] == standing["contender"]
        # A job that diverged has a place at the edge, and no value.
        assert row["seeds"] == [
            [job["seed"], pytest.approx(100 * job["score"]) if job["status"] == "succeeded" else None]
            for job in standing["jobs"]
        ]


def test_a_chart_that_only_the_report_has_is_named_with_its_command(swept: InProcess) -> None:
    said = "; only the report has differences: orchestrator report a --chart differences\n"
    assert swept.refused("plot", "a", "differences").endswith(said)


def test_the_legend_says_when_intervals_stay_valid_however_often_one_looks(swept: InProcess) -> None:
    assert "├─┤ interval at 95 %; " in swept.run("plot", "a").out
    # Once the sweep was extended by somebody who had seen results
    folder = SweepFolder(swept.runs, "a")
    longer = folder.manifest().with_round(
        Round(kind="extend", seeds=(5,)), Look(command="extend", seeds=5, rows=15)
    )  # fmt: skip
    folder.write_manifest(longer)
    assert "├─┤ interval at 95 % however often one looks; " in swept.run("plot", "a").out


def test_a_row_has_its_mean_at_its_place_on_the_axis(swept: InProcess) -> None:
    text = swept.run("plot", "a").out
    rows = [re.search(r"^ *([\d.]+)  (.*[●○].*) {2,}(\d\d\.\d\d %.*)$", line) for line in text.splitlines()]
    found = {row[1]: (max(row[0].find("●"), row[0].find("○")), row[3].strip()) for row in rows if row}
    assert {label: note for label, (_, note) in found.items()} == {
        "0.1": "71.50 %, 1 diverged", "0.01": "62.00 %", "0.001": "52.00 %",
    }  # fmt: skip
    # Means of 52, 62 and 71.5: the distances of their marks have the same ratio, but for the width of a column.
    places = [found[label][0] for label in ("0.001", "0.01", "0.1")]
    assert (places[2] - places[1]) / (places[1] - places[0]) == pytest.approx(9.5 / 10, abs=0.1)


def test_curves_have_a_line_for_each_configuration(swept: InProcess) -> None:
    lines = swept.run("plot", "a", "curves").out.splitlines()
    labels = [line.split()[-2:] for line in lines if re.search(r"[1-3] 0\.\d+$", line)]
    # Beside the ends of their lines, from top to bottom; the marks are the ranks: one job of rate 0.1 diverged.
    assert labels == [["2", "0.1"], ["1", "0.01"], ["3", "0.001"]]
    found = swept.asked("plot", "a", "curves")
    assert [each["label"] for each in found["series"]] == ["0.01", "0.1", "0.001"]
    assert found["series"][0]["points"] == [[1.0, pytest.approx(10)], [2.0, pytest.approx(62)]]


def test_many_numbers_share_rows(here: InProcess) -> None:
    folder_of(here.runs, {n / 100: [0.5] for n in range(1, 62)})
    assert here.run("plot", "a", "metric-by-learning_rate").out.rstrip().endswith("; 10 bins of 61 values")


def test_an_output_that_is_no_terminal_gets_plain_text(swept: InProcess) -> None:
    for environment, symbols in (({}, "●"), ({"PYTHONIOENCODING": "ascii"}, "@")):
        printed = swept.command_line.run("plot", "a", FORCE_COLOR="", **environment).stdout
        assert "\x1b" not in printed
        assert symbols in printed


def test_it_fits_the_terminal(swept: InProcess) -> None:
    lines = swept.command_line.on_terminal("plot", "a", "curves", columns=120).read_to_end().splitlines()
    # The title may wrap; the chart has the whole width.
    chart = [line for line in lines if "│" in line]
    assert len(chart) == 18
    assert 112 <= max(map(cell_len, chart)) <= 120


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_asked_for(tmp_path: Path, width: int) -> None:
    outcomes = {rate: [0.5 + rate] * 2 for rate in (0.001, 0.01)}
    taken = Sweep.read(folder_of(tmp_path, outcomes, data="/x" * 90, hidden=((128, 64), (32, 16))))
    for name in ("intervals", "metric-by-learning_rate", "metric-by-hidden_layer_sizes", "curves"):
        title, _, *lines = drawn(plot(taken, name), width)
        text = "\n".join((title, *lines))
        assert text.isprintable() or set(text) - {"\n"} == {each for each in text if each.isprintable()}
        # The legend is a sentence, which wraps.
        assert max(cell_len(line) for line in lines if "; " not in line) <= width
