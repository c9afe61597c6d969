"""Progress on terminals and in files: what is drawn, what fits, and what is left behind."""

from __future__ import annotations

import io
import re
import signal

import pytest
from rich.console import Console

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.cli.shared.progress import progress_for
from orchestrator.folder.activity import Activity
from tests.support.command_line import QUICK, CommandLine, small
from tests.support.sweep_folders import row, unsaved
from tests.support.sweeps import sweep_of
from tests.support.terminal import HIDE_CURSOR, SHOW_CURSOR, plain


class Screen(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("lines", "bars", "more"),
    [(17, 12, "and 4 more"), (40, 16, None), (6, 1, "and 15 more"), (5, 0, "16 jobs running")],
)
def test_a_screen_that_is_too_low_shows_what_fits(
    lines: int, bars: int, more: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    # Given a sweep of 16 running jobs, and one that has ended
    jobs = sweep_of(seeds=tuple(range(17)), learning_rates=(0.1,)).jobs_by_key(MNIST_DIGEST)
    ended, *running = jobs.values()
    screen = Screen()
    with progress_for(Console(file=screen, width=60, height=lines), unsaved(jobs, {ended.key: row(ended)})) as progress:
        told = {"planned": 17, "done": 1, "running": 16, "waiting": 0, "retried": 2, "workers": 16, "left": 90.0}
        progress.underway(Activity(began=0.0, at=9.0, jobs={job.key: None for job in running}, **told))

    # Then what goes on, the leader and as many jobs as fit are shown, and the number of the others.
    output = plain(screen.getvalue())
    assert "..." not in output
    assert "…" not in output
    frame = output[output.rindex("sweep ") :]
    assert "1 of 17 jobs" in frame
    assert "16 running, 0 waiting, 2 retried, 9 s elapsed, ETA 90 s," in frame
    assert "so far, mean 50.00 % (1 of 17 seeds)" in frame
    assert frame.count("epoch 0/10 ") == bars
    assert re.findall(r"and \d+ more|\d+ jobs running", frame) == ([] if more is None else [more])


def test_the_live_table_moves_and_leaves_the_terminal_as_it_was(command_line: CommandLine) -> None:
    steady = small(seeds="0", epochs="40")
    terminal = command_line.on_terminal("sweep", *steady, "--workers", "1", "--name", "a", columns=120)
    output = terminal.read_to_end()
    assert terminal.process.wait(timeout=30) == 0

    # Then there were bars for the sweep and for the running job, with epochs, accuracy, time and the leader,
    text = plain(output)
    assert re.search(r"sweep .*\d of 2 jobs", text)
    assert re.search(r"1 running, \d waiting, .* elapsed, ETA \d.*, 1 worker", text)
    assert re.search(r"seed 0, learning rate 0.01 .* epoch +[1-9]\d?/40 +\d\d\.\d\d %", text)
    assert re.search(r"leading so far: learning rate 0\.0[13], mean \d\d\.\d\d % \(1 of 1 seed\)", text)
    # the cursor is visible again, and the leaderboard stays on the screen.
    assert output.rfind(SHOW_CURSOR) > output.rfind(HIDE_CURSOR) >= 0
    assert "accepted 2" in text


def test_a_dumb_terminal_gets_plain_lines_while_the_sweep_runs(command_line: CommandLine) -> None:
    terminal = command_line.on_terminal("sweep", *QUICK, "--name", "a", TERM="dumb")
    output = terminal.read_to_end()
    assert terminal.process.wait(timeout=30) == 0
    assert "\x1b" not in output
    assert re.search(r"\[1/1\] seed 7.*: \d\d\.\d\d % after 1 epoch", output)


def test_forced_colour_in_a_file_brings_no_animation(command_line: CommandLine) -> None:
    done = command_line.run("sweep", *QUICK, "--name", "a", FORCE_COLOR="1", TERM="xterm-256color")
    assert re.search(r"\[1/1\] seed 7.*: ", done.stdout)
    assert not re.search(r"\x1b\[[0-9;?]*[A-HJKhl]", done.stdout), "controls that move the cursor, erase or hide"


def test_a_killed_sweep_leaves_a_visible_cursor(command_line: CommandLine) -> None:
    # Given a sweep that draws its table
    steady = small(learning_rates="0.01", epochs="4000")
    terminal = command_line.on_terminal("sweep", *steady, "--name", "a")
    output = terminal.read_until("seed 0")
    assert "seed 0" in plain(output)

    # Then the cursor is visible while it runs, so that neither SIGSTOP nor SIGKILL can leave it hidden.
    terminal.process.send_signal(signal.SIGKILL)
    terminal.process.wait(timeout=30)
    output = terminal.read_to_end()
    assert output.rfind(SHOW_CURSOR) > output.rfind(HIDE_CURSOR)
