"""Signals: they interrupt at once, but never within a critical step."""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.errors import OutputError
from orchestrator.interruption import AGAIN_SECONDS, Interrupted, Interruption


@pytest.fixture(autouse=True)
def _hangup() -> Iterator[None]:
    # Whoever runs the tests may have told them to outlive the terminal.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_interrupts_with_its_status(signum: signal.Signals, status: int) -> None:
    with Interruption().handling(), pytest.raises(Interrupted) as interrupted:
        os.kill(os.getpid(), signum)
    assert interrupted.value.status == status


def test_a_command_under_nohup_outlives_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption().handling():
        os.kill(os.getpid(), signal.SIGHUP)


@pytest.mark.parametrize("fails", [False, True])
def test_a_shielded_step_is_finished_first_and_may_fail(fails: bool) -> None:
    interruption = Interruption()
    steps = []

    def critical_step() -> None:
        with interruption.shield(), interruption.shield():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("finished")
            if fails:
                raise ValueError

    with interruption.handling(), pytest.raises(ValueError if fails else Interrupted):
        critical_step()
    assert steps == ["finished"]


def test_a_second_signal_does_not_disturb_the_way_out() -> None:
    steps = []

    def end() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            with contextlib.suppress(OSError):
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("cleaned up")

    with Interruption().handling(), pytest.raises(Interrupted) as interrupted:
        end()
    assert interrupted.value.status == 130
    assert steps == ["cleaned up"]


def test_a_signal_that_python_swallowed_interrupts_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    class Finalized:
        def __del__(self) -> None:
            # Python ignores what a finalizer raises.
            os.kill(os.getpid(), signal.SIGTERM)

    def work() -> None:
        Finalized()
        time.sleep(60)

    with Interruption().handling(), pytest.raises(Interrupted) as interrupted:
        work()
    assert interrupted.value.status == 143
    assert capsys.readouterr().err == ""


def test_a_signal_that_a_library_swallowed_waits_for_the_end_of_a_shielded_step() -> None:
    interruption = Interruption()
    steps = []

    def work() -> None:
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), signal.SIGTERM)
        with interruption.shield():
            time.sleep(2 * AGAIN_SECONDS)
            steps.append("finished")
        time.sleep(60)

    with interruption.handling(), pytest.raises(Interrupted):
        work()
    assert steps == ["finished"]


def test_a_signal_while_python_looks_for_the_temporary_folder_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def open_and_interrupt(path: str, flags: int, mode: int) -> int:
        file = opened(path, flags, mode)
        os.kill(os.getpid(), signal.SIGINT)
        return file

    def work() -> None:
        assert tempfile.gettempdir() == str(tmp_path)
        time.sleep(60)

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(os, "open", open_and_interrupt)
    with Interruption().handling(), pytest.raises(Interrupted):
        work()
    assert list(tmp_path.iterdir()) == []


def test_an_alarm_that_was_still_to_come_does_not_disturb_the_exit() -> None:
    def end() -> None:
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), signal.SIGINT)
        try:
            sys.exit(130)
        finally:
            time.sleep(2 * AGAIN_SECONDS)

    with pytest.raises(SystemExit), Interruption().handling():
        end()


def test_an_error_after_a_signal_that_a_library_swallowed_is_that_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(**_words: object) -> None:
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), signal.SIGTERM)
        raise OutputError("it broke")

    monkeypatch.setattr(main, "app", command)
    with Interruption().handling():
        assert main.run([]) == 143


def test_the_handlers_from_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption().handling():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
