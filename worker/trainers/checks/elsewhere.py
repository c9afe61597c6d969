"""Checks of training in another process, such as a worker's: its bits, and what it leaves behind.

A new process shows what an import loads, and what training leaves behind. It forks the process that trains, as a worker
does. What it is asked, and what it reports, is JSON.
"""

import base64
import contextlib
import faulthandler
import json
import logging
import os
import pkgutil
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

from nn.errors import SeedsweepError
from worker.trainers.checks.case import Broken, Case, check_same, shown
from worker.trainers.environment import ONE_THREAD
from worker.trainers.protocol import Checkpoint

#: Seconds that another process may take to train all jobs, beside ten times those that the checks took.
_SECONDS = 60.0
#: Packages that take long to import.
_HEAVY = ("numpy", "scipy", "sklearn", "pandas", "torch", "jax", "tensorflow", "numba", "matplotlib")


def imports_are_late(case: Case) -> None:
    """The trainer's module imports no large library, because most commands import it only to read its options."""
    if heavy := _report(case)["heavy"]:
        raise Broken(f"the trainer's module imports {', '.join(heavy)}; import it in the methods that need it")


def trains_in_a_forked_process(case: Case) -> None:
    """A forked process can train. As in a worker, `shares` decides whether `load` and `prepare` run before the fork."""
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
            what = f"another process that resumes after epoch {state[0]}"
            check_same(options, recorded.facts(first=state[0]), facts, what, hint)


def nothing_is_printed(case: Case) -> None:
    """Loading and training print nothing, neither to standard output nor to standard error."""
    if printed := _report(case)["printed"]:
        raise Broken(f"it printed {shown(printed)}; print nothing, and log with Python's logging")


def surroundings_stay(case: Case) -> None:
    """Training changes no global generator, environment variable, working folder or NumPy error state. Imports may."""
    if changed := _told(case)["changed"]:
        raise Broken(f"training changes {', '.join(changed)}; use generators and settings of its own")


def nothing_is_left_running(case: Case) -> None:
    """No thread or process that training started is left running."""
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


def _states(case: Case) -> list[tuple[int, str] | None]:
    """Return an epoch in the middle of each straight training, and its state in base64; None if there are no states."""
    found: list[tuple[int, str] | None] = []
    for options, recorded in case.jobs():
        resumable = [epochs for epochs in recorded.states if epochs < case.trainer.epochs(options)]
        middle = resumable[len(resumable) // 2] if resumable else 0
        found.append((middle, base64.b64encode(recorded.states[middle]).decode()) if middle else None)
    return found


def _report(case: Case) -> dict[str, Any]:
    if not case.elsewhere:
        case.elsewhere.update(_train_elsewhere(case))
    return case.elsewhere


def _train_elsewhere(case: Case) -> dict[str, Any]:
    """Train all jobs of a case in a new process, and return its report, with what it printed.

    Raises:
        Broken: the class cannot be imported there, or the process ended without a report.
    """
    kind = type(case.trainer)
    if "<locals>" in kind.__qualname__ or kind.__module__ == "__main__":
        raise Broken(f"{kind.__qualname__} cannot be imported in another process; define it at the top of a module")
    # The same modules are found, and texts have other hashes.
    path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
    seed = "2" if case.variables.get("PYTHONHASHSEED") == "1" else "1"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        asked = {
            "class": f"{kind.__module__}:{kind.__qualname__}", "source": case.source, "seeds": case.seeds,
            "values": [dict(values) for values in case.values], "cache_dir": str(case.cache_dir),
            "states": _states(case), "seconds": _SECONDS + 10 * (time.monotonic() - case.started),
            "report": str(report), "threads": case.threads,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import _answer; _answer()"],
            input=json.dumps(asked),
            env={**case.variables, **ONE_THREAD, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
            raise Broken(f"another process could not train: {last}")
        told: dict[str, Any] = json.loads(report.read_text())
    return told | {"printed": done.stdout + done.stderr}


# The other process


def _answer() -> None:
    """Fork a process that trains the jobs of the request on standard input, and see that the report is written."""
    asked = json.load(sys.stdin)
    report = Path(asked["report"])
    warnings.simplefilter("ignore")
    # Without a handler, Python prints what is logged as a warning.
    logging.getLogger().addHandler(logging.NullHandler())
    made = pkgutil.resolve_name(asked["class"])()
    told: dict[str, Any] = {"heavy": [name for name in _HEAVY if name in sys.modules]}
    values, seeds = tuple(asked["values"]), tuple(asked["seeds"])
    case = Case(made, asked["source"], values, seeds, Path(asked["cache_dir"]), asked["threads"])
    try:
        case.shared.share()
    except SeedsweepError as error:
        report.write_text(json.dumps(told | {"not forked": str(error)}))
        return
    with tempfile.TemporaryFile() as stack:
        child = get_context("fork").Process(target=_answer_forked, args=(case, asked, told, report, stack))
        child.start()
        child.join()
        if not report.exists():
            stack.seek(0)
            ended = _where(stack.read().decode(), made) or f"it ended with status {child.exitcode}"
            report.write_text(json.dumps(told | {"not forked": f"a process that is forked does not train: {ended}"}))


def _answer_forked(case: Case, asked: dict[str, Any], told: dict[str, Any], report: Path, stack: BinaryIO) -> None:
    """Train in the process that was forked, and write the report; end this process if that takes too long."""
    faulthandler.dump_traceback_later(asked["seconds"], file=stack, exit=True)
    try:
        told |= _train(case, asked)
    except Broken as error:
        told["broken"] = str(error)
    report.write_text(json.dumps(told))


def _where(stack: str, made: object) -> str:
    """Return where a process stood when its time was up: the innermost line of the trainer's module, if any."""
    lines = [line.strip() for line in stack.splitlines() if line.startswith("  File ")]
    own = [line for line in lines if f'"{sys.modules[type(made).__module__].__file__}"' in line]
    return f"it hangs at {(own or lines)[0]}; what runs before the fork must start no threads" if lines else ""


def _train(case: Case, asked: dict[str, Any]) -> dict[str, Any]:
    # Loading may start what lives as long as the worker; what training starts must end with it.
    _ = case.data
    surroundings, threads, children = _surroundings(), set(threading.enumerate()), _has_children()
    before = {name: read() for name, (read, _) in surroundings.items()}
    # First, so that nothing of a straight training is in memory.
    resumed: list[Any] = []
    for options, state in zip(case.options, asked["states"], strict=True):
        begin = Checkpoint(state[0], base64.b64decode(state[1])) if state else None
        resumed.append(begin and case.train(options, case.seeds[0], resume_from=begin).facts())
    facts = [recorded.facts() for _, recorded in case.jobs()]
    # Once more, because the first training may import libraries, some of which draw a number or set a variable.
    for name, (_, restore) in surroundings.items():
        restore(before[name])
    for options in case.options:
        case.train(options, case.seeds[0], take=False)
    return {
        "facts": facts,
        "resumed": resumed,
        "changed": [name for name, (read, _) in surroundings.items() if repr(read()) != repr(before[name])],
        "threads": [each.name for each in threading.enumerate() if each not in threads],
        "children": not children and _has_children(),
    }


def _surroundings() -> dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Return how each thing that training must leave as it is, is read and set."""
    import numpy as np

    return {
        "the state of random": (random.getstate, random.setstate),
        "the state of numpy.random": (np.random.get_state, np.random.set_state),
        "NumPy's handling of floating-point errors": (np.geterr, lambda value: np.seterr(**value)),
        "the environment variables": (lambda: sorted(os.environ.items()), _set_environment),
        "the working folder": (Path.cwd, os.chdir),
    }


def _set_environment(variables: list[tuple[str, str]]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _has_children() -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False
