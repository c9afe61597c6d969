"""The program that trains in another process: `python -m worker.trainers.checks.process REQUEST REPORT`.

Both are JSON files. A new process shows what an import loads, and what training leaves behind. It forks the process
that trains, as a worker does.
"""

from __future__ import annotations

import base64
import contextlib
import faulthandler
import importlib
import json
import operator
import os
import random
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel

from nn.errors import SeedsweepError
from worker.trainers.checks.case import Broken, Case
from worker.trainers.protocol import Checkpoint

#: Packages that take long to import.
HEAVY = ("numpy", "scipy", "sklearn", "pandas", "torch", "jax", "tensorflow", "numba", "matplotlib")


def main(request: Path, report: Path) -> None:
    """Train the jobs of a request, and write the report."""
    asked = json.loads(request.read_text())
    warnings.simplefilter("ignore")
    made = operator.attrgetter(asked["class"])(importlib.import_module(asked["module"]))()
    heavy = [name for name in HEAVY if name in sys.modules]
    case = Case(made, asked["source"], tuple(asked["values"]), tuple(asked["seeds"]), Path(asked["cache_dir"]))
    told: dict[str, Any] = {"heavy": heavy}
    try:
        case.shared.share()
    except SeedsweepError as error:
        report.write_text(json.dumps(told | {"not forked": str(error)}))
        return
    with tempfile.TemporaryFile() as stack:
        child = get_context("fork").Process(target=_report, args=(case, asked, told, report, stack))
        child.start()
        child.join()
        if not report.exists():
            stack.seek(0)
            ended = _where(stack.read().decode(), made) or f"it ended with status {child.exitcode}"
            report.write_text(json.dumps(told | {"not forked": f"a process that is forked does not train: {ended}"}))


def _report(case: Case, asked: dict[str, Any], told: dict[str, Any], report: Path, stack: BinaryIO) -> None:
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
    before, threads, children = _surroundings(), set(threading.enumerate()), _has_children()
    restore = _restoring()
    # First, so that nothing of a straight training is in memory.
    resumed = [_resume(case, options, state) for options, state in zip(case.options, asked["states"], strict=True)]
    facts = [recorded.facts() for _, recorded in case.jobs()]
    # Once more, because the first training may import libraries, some of which draw a number or set a variable.
    restore()
    for options in case.options:
        case.train(options, case.seeds[0], take=False)
    after = _surroundings()
    return {
        "facts": facts,
        "resumed": resumed,
        "changed": [name for name in before if before[name] != after[name]],
        "threads": [each.name for each in threading.enumerate() if each not in threads],
        "children": not children and _has_children(),
    }


def _resume(case: Case, options: BaseModel, state: dict[str, Any] | None) -> dict[str, Any] | None:
    if state is None:
        return None
    checkpoint = Checkpoint(state["epochs"], base64.b64decode(state["state"]))
    return case.train(options, case.seeds[0], resume_from=checkpoint).facts()


def _surroundings() -> dict[str, str]:
    """Return what training must leave as it is, as texts."""
    import numpy as np

    state = np.random.get_state(legacy=False)
    return {
        "the state of random": repr(random.getstate()),
        "the state of numpy.random": repr(
            (state["bit_generator"], state["state"]["key"].tolist(), state["state"]["pos"])
        ),
        "NumPy's handling of floating-point errors": repr(np.geterr()),
        "the environment variables": repr(sorted(os.environ.items())),
        "the working folder": str(Path.cwd()),
    }


def _restoring() -> Callable[[], None]:
    import numpy as np

    stack = contextlib.ExitStack()
    stack.callback(random.setstate, random.getstate())
    stack.callback(np.random.set_state, np.random.get_state())
    stack.callback(np.seterr, **np.geterr())
    stack.callback(os.chdir, Path.cwd())
    # The last one is called first.
    stack.callback(os.environ.update, dict(os.environ))
    stack.callback(os.environ.clear)
    return stack.close


def _has_children() -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
