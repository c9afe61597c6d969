"""Checks of training in another process, such as a worker's: its bits, and what it leaves behind."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from worker.trainers.checks.case import Broken, Case, check_same, shown
from worker.trainers.environment import ONE_THREAD

#: Seconds that another process may take to train all jobs, beside ten times those that the checks took.
_SECONDS = 60.0


def imports_are_late(case: Case) -> None:
    """The module of the trainer imports no large library: the command line asks every trainer for its options."""
    if heavy := _report(case)["heavy"]:
        raise Broken(f"the trainer's module imports {', '.join(heavy)}; import it in the methods that need it")


def trains_in_a_forked_process(case: Case) -> None:
    """A process trains that was forked as a worker forks: after `load`, before `prepare` unless `shares` says else."""
    if problem := _report(case).get("not forked"):
        raise Broken(problem)


def same_bits_in_another_process(case: Case) -> None:
    """Another process, with another hash seed, trains the same bits."""
    hint = "use neither hash() nor the order of a set, nor what another job has left in memory"
    for facts, (options, recorded) in zip(_told(case)["facts"], case.jobs(), strict=True):
        check_same(options, recorded.facts(), facts, "training in another process", hint)


def resuming_in_another_process_gives_the_same_bits(case: Case) -> None:
    """Another process resumes from a state of this one to the same bits."""
    hint = "a state must not refer to the memory of its process"
    for state, facts, (options, recorded) in zip(_states(case), _told(case)["resumed"], case.jobs(), strict=True):
        if state is not None:
            what = f"another process that resumes after epoch {state['epochs']}"
            check_same(options, recorded.facts(first=state["epochs"]), facts, what, hint)


def nothing_is_printed(case: Case) -> None:
    """Loading and training print nothing, neither to standard output nor to standard error."""
    if printed := _report(case)["printed"]:
        raise Broken(f"it printed {shown(printed)}; print nothing, and log with Python's logging")


def surroundings_stay(case: Case) -> None:
    """Training changes no global generator, variable, working folder, or NumPy error handling, but when it imports."""
    if changed := _told(case)["changed"]:
        raise Broken(f"training changes {', '.join(changed)}; use generators and settings of its own")


def nothing_is_left_running(case: Case) -> None:
    """No thread and no process that training started lives on."""
    told = _told(case)
    if told["threads"]:
        raise Broken(f"training leaves threads running: {', '.join(told['threads'])}; end them")
    if told["children"]:
        raise Broken("training leaves a child process; a worker's processes may start none")


def _told(case: Case) -> dict[str, Any]:
    told = _report(case)
    if "broken" in told:
        raise Broken(f"in another process, {told['broken']}")
    return told


def _states(case: Case) -> list[dict[str, Any] | None]:
    """Return the state in the middle of each straight training, or None if it has no states."""
    found: list[dict[str, Any] | None] = []
    for options, recorded in case.jobs():
        resumable = [epochs for epochs in recorded.states if epochs < case.trainer.epochs(options)]
        middle = resumable[len(resumable) // 2] if resumable else 0
        state = recorded.states.get(middle)
        found.append(None if state is None else {"epochs": middle, "state": base64.b64encode(state).decode()})
    return found


def _report(case: Case) -> dict[str, Any]:
    if "elsewhere" not in case.memory:
        case.memory["elsewhere"] = _train_elsewhere(case)
    report: dict[str, Any] = case.memory["elsewhere"]
    return report


def _train_elsewhere(case: Case) -> dict[str, Any]:
    """Train all jobs of a case in a new process, and return its report, with what it printed.

    Raises:
        Broken: the class cannot be imported there, or the process ended without a report.
    """
    kind = type(case.trainer)
    if "<locals>" in kind.__qualname__ or kind.__module__ == "__main__":
        raise Broken(f"{kind.__qualname__} cannot be imported in another process; define it at the top of a module")
    with tempfile.TemporaryDirectory() as folder:
        request, report = Path(folder) / "request", Path(folder) / "report"
        asked = {
            "module": kind.__module__, "class": kind.__qualname__, "source": case.source, "seeds": case.seeds,
            "values": [dict(values) for values in case.values], "cache_dir": str(case.cache_dir),
            "states": _states(case), "seconds": _SECONDS + 10 * (time.monotonic() - case.started),
        }  # fmt: skip
        request.write_text(json.dumps(asked))
        done = subprocess.run(
            [sys.executable, "-m", "worker.trainers.checks.process", str(request), str(report)],
            env=_environment(case),
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
            raise Broken(f"another process could not train: {last}")
        told: dict[str, Any] = json.loads(report.read_text())
    return told | {"printed": done.stdout + done.stderr}


def _environment(case: Case) -> dict[str, str]:
    """Return an environment in which the same modules are found, and texts have other hashes."""
    changed = {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    changed["PYTHONHASHSEED"] = "2" if case.variables.get("PYTHONHASHSEED") == "1" else "1"
    return {**case.variables, **ONE_THREAD, **changed}
