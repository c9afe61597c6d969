"""An export that is killed while it replaces another one."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.export.formats import staged
from tests.support.sweep_folders import names_in

#: What may come between two names: whatever changes one.
EVENTS = ("os.rename", "os.remove", "os.rmdir")


def put(targets: Sequence[Path], text: str, *, end_at: int | None = None) -> None:
    """Export a text to these files; the process ends at the given event of the last step."""
    with staged(targets, replace=True) as paths:
        for path in paths:
            path.write_text(text)
        if end_at is not None:
            left = [end_at]

            def watch(event: str, _arguments: object) -> None:
                if event in EVENTS:
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(watch)


def killed(targets: Sequence[Path], text: str, event: int) -> bool:
    """Export in a process that is killed at this event; return whether there is such an event."""
    child = os.fork()
    if child == 0:
        put(targets, text, end_at=event)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_what_a_killed_export_leaves_is_whole(tmp_path: Path) -> None:
    targets = [tmp_path / name for name in ("a.csv", "a.epochs.csv")]
    event, states = 0, set()
    is_there = True
    while is_there:
        put(targets, "old")
        is_there = killed(targets, "new", event)
        event += 1
        # The earlier export or the new one, and never parts of both.
        (text,) = {each.read_text() for each in targets if each.exists()}
        states.add(text)
        assert targets[0].exists()
    assert (states, event > 3) == ({"old", "new"}, True)
    # What it left is removed once it is old.
    for left in tmp_path.glob(".*"):
        os.utime(left, (0, 0))
    put(targets, "new")
    assert names_in(tmp_path) == [each.name for each in targets]
