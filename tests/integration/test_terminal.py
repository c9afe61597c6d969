"""Progress on real pseudo-terminals and in files: what is drawn, what fits, and what is left behind."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.support.command_line import SMALL, CommandLine
from tests.support.terminal import HIDE_CURSOR, SHOW_CURSOR, Terminal, plain

#: A sweep of 16 running jobs, of which one has ended; its display is redrawn once and left open for a moment.
SIXTEEN = """
import sys, time
from rich.console import Console
from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.cli.progress import progress_for
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweep_folders import row
from worker.records.report import Report

jobs = {job.key: job for job in SweepSpecification(seeds=tuple(range(17)), learning_rates=(0.1,)).jobs(MNIST_DIGEST)}
ended, *running = jobs.values()
with progress_for(Console(), jobs, {ended.key: row(ended)}) as progress:
    progress.running({job.key: None for job in running})
    time.sleep(0.5)
"""


@pytest.mark.parametrize(
    ("lines", "bars", "more"),
    [(15, 12, "and 4 more"), (40, 16, None), (4, 1, "and 15 more"), (3, 0, "16 jobs running")],
)
def test_a_screen_that_is_too_low_shows_what_fits(lines: int, bars: int, more: str | None) -> None:
    terminal = Terminal([sys.executable, "-c", SIXTEEN], Path.cwd(), os.environ, columns=60, lines=lines)
    output = plain(terminal.read_to_end())
    assert terminal.process.wait(timeout=30) == 0

    # Then the sweep, the leader and as many jobs as fit are shown, and the number of the others.
    assert "..." not in output
    assert "…" not in output
    frame = output[output.rindex("sweep ") :]
    assert "1/17 jobs" in frame
    assert "so far, mean 50.00 % (1 of 17 seeds)" in frame
    assert frame.count("epoch 0/10 ") == bars
    assert re.findall(r"and \d+ more|\d+ jobs running", frame) == ([] if more is None else [more])


def test_a_dumb_terminal_gets_plain_lines_while_the_sweep_runs(command_line: CommandLine) -> None:
    environment = command_line.environment | {"TERM": "dumb"}
    terminal = Terminal(command_line.command("sweep", *SMALL, "--name", "a"), command_line.folder, environment)
    output = terminal.read_to_end()
    assert terminal.process.wait(timeout=30) == 0
    assert "\x1b" not in output
    assert re.search(r"\[4/4\] seed \d, learning rate 0\.0[13]: \d\d\.\d\d % after 2 epochs", output)


def test_forced_colour_in_a_file_brings_no_animation(command_line: CommandLine) -> None:
    done = command_line.run("sweep", *SMALL, "--name", "a", FORCE_COLOR="1", TERM="xterm-256color")
    assert re.search(r"\[4/4\] seed \d, learning rate 0\.0[13]: ", done.stdout)
    assert not re.search(r"\x1b\[[0-9;?]*[A-HJKhl]", done.stdout), "controls that move the cursor, erase or hide"


def test_a_killed_sweep_leaves_a_visible_cursor(command_line: CommandLine) -> None:
    # Given a sweep that draws its table
    steady = ("--seeds", "0-1", "--learning-rates", "0.01", "--epochs", "4000", "--workers", "2")
    terminal = Terminal(
        command_line.command("sweep", *steady, "--name", "a"), command_line.folder, command_line.environment
    )
    output = terminal.read_until("seed 0")
    assert "seed 0" in plain(output)

    # Then the cursor is visible while it runs, so that neither SIGSTOP nor SIGKILL can leave it hidden.
    terminal.process.send_signal(signal.SIGKILL)
    terminal.process.wait(timeout=30)
    output = terminal.read_to_end()
    assert output.rfind(SHOW_CURSOR) > output.rfind(HIDE_CURSOR)
