"""Progress on terminals and in files: what is drawn, what fits, and what is left behind."""

import re
import signal

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.folder.activity import Activity
from orchestrator.folder.sweeps import PROGRESS
from tests.support.command_line import QUICK, CommandLine, small
from tests.support.sweep_folders import filled, row
from tests.support.sweeps import sweep_of
from tests.support.terminal import HIDE_CURSOR, SHOW_CURSOR, plain


def test_a_screen_shows_what_fits_also_after_a_resize(command_line: CommandLine) -> None:
    # Given a sweep of 64 jobs that another process has running, and one that has ended
    sweep = sweep_of(seeds=tuple(range(65)), learning_rates=(0.1,))
    folder = filled(command_line.folder / "runs", sweep, lambda job: None if job.seed else row(job, scores=(0.5,) * 10))
    told = {"planned": 65, "done": 1, "running": 64, "waiting": 0, "retried": 2, "workers": 64, "left": 90.0}
    running = dict.fromkeys([job.key for job in sweep.jobs(MNIST_DIGEST)][1:])
    with folder.exclusive():
        (folder.path / PROGRESS).write_text(Activity(began=0.0, at=9.0, jobs=running, **told).model_dump_json())
        terminal = command_line.on_terminal("watch", "a")
        for columns, lines, bars, more in (
            (200, 60, 56, "and 8 more"), (60, 17, 12, "and 52 more"), (200, 70, 64, None), (60, 6, 1, "and 63 more"),
            (60, 5, 0, "64 jobs running"),
        ):  # fmt: skip
            terminal.output = ""
            terminal.resize(columns, lines)
            # Then what goes on, the leader and as many jobs as fit are shown, and the number of the others.
            terminal.read_until(more or "seed 64")
            terminal.output = terminal.output[terminal.output.rindex("sweep ") :]
            frame = plain(terminal.read_until(end := "so far, mean 50.00 % (1 of 65 seeds)")).partition(end)[0]
            assert "..." not in frame
            assert "…" not in frame
            assert "1 of 65 jobs" in frame
            assert "64 running, 0 waiting, 2 retried, 9 s elapsed, ETA 90 s," in frame
            assert frame.count("epoch 0/10 ") == bars
            assert re.findall(r"and \d+ more|\d+ jobs running", frame) == ([] if more is None else [more])
    terminal.read_to_end()


def test_the_live_table_moves_and_leaves_the_terminal_as_it_was(command_line: CommandLine) -> None:
    # Longer than a few looks, also where training is fast.
    steady = small(seeds="0", epochs="200")
    terminal = command_line.on_terminal("sweep", *steady, "--workers", "1", "--name", "a", columns=120)
    output = terminal.read_to_end()
    assert terminal.process.wait(timeout=30) == 0

    # Then there were bars for the sweep and for the running job, with epochs, accuracy, time and the leader,
    text = plain(output)
    assert re.search(r"sweep .*\d of 2 jobs", text)
    assert re.search(r"1 running, \d waiting, .* elapsed, ETA \d.*, 1 worker", text)
    assert re.search(r"seed 0, learning rate 0.01 .* epoch +[1-9]\d*/200 +\d\d\.\d\d %", text)
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
