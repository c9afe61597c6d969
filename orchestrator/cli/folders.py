"""`orchestrator note`, `mv`, `undo`, `prune` and `rm`: describe and rename a sweep, or remove a part or all of it."""

import sys
from typing import Annotated

import typer

from nn.errors import Described, InvalidInputError, printable
from orchestrator.cli.shared.output import answer, complain
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, KEEPING, AsJson, Broker, NamedSweep, Output, sweeps
from orchestrator.commands import manage as managing
from orchestrator.folder.sweeps import REPORT, open_sweep, size
from orchestrator.sweeps.manifest import check_keep_weights
from orchestrator.text import counted, listed, sized
from worker.settings import load_settings


def note(
    folder: NamedSweep,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note: one line; '' removes it.")],
    as_json: AsJson = False,
) -> int:
    """Say what a sweep is about: in lists, on the live page, and in its report.

    Example: orchestrator note night-run "Does a larger first layer help?"
    """
    managing.annotate(folder, text)
    told = f"The note of {folder.path} is now: {text}" if text else f"{folder.path} has no note any more"
    return answer(told, as_json=as_json, name=folder.name, note=text)


def mv(
    folder: NamedSweep,
    name: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    as_json: AsJson = False,
) -> int:
    """Give a sweep another name.

    Its report is written again, if it has one. sweep.json keeps the name under which the sweep began.

    Example: orchestrator mv last night-run
    """
    folder = managing.rename(folder, name)
    if (folder.path / REPORT).exists():
        # Imported here because it takes a while.
        from orchestrator.cli.report import rewritten

        rewritten(folder, load_settings())
    return answer(f"The sweep is now {folder.path}", as_json=as_json, name=folder.name, folder=str(folder.path))


def undo(folder: NamedSweep, broker: Broker = None, as_json: AsJson = False) -> int:
    """Withdraw what extend, confirm or decide last added to a sweep.

    The rows and weights stay in the folder: later sweeps reuse them, and so does this one if it gets the same jobs
    again. The round and the looks stay recorded: intervals get no narrower.

    Example: orchestrator undo night-run
    """
    # Imported here because it takes a while.
    from orchestrator.cluster.connect import place_for
    from orchestrator.commands import extend

    place = place_for(broker, tell=complain)
    with place.interruption.handling():
        withdrawn, jobs, rows = extend.undo(folder, place)
    kept = f"{counted(rows, 'row')} kept for reuse. The looks stay recorded, so intervals get no narrower"
    told = f"Withdrawn from {folder.name}: {counted(jobs, 'job')} of {withdrawn.kind}, {kept}"
    return answer(told, as_json=as_json, name=folder.name, withdrawn=withdrawn.kind, jobs=jobs, rows=rows)


def prune(
    folder: NamedSweep,
    keep: Annotated[
        str, typer.Option("--keep-weights", parser=check_keep_weights, help="What stays.", **KEEPING)
    ] = "best:3",
    as_json: AsJson = False,
) -> int:
    """Remove weights from a sweep's folder, and say how much they took.

    The rows and the verdict stay; orchestrator weights trains a job's weights again. Weights of jobs that undo withdrew
    stay for reuse, and other sweeps keep those that they share.

    Example: orchestrator prune night-run --keep-weights best:1
    """
    freed, others = managing.prune(folder, keep)
    told = f"Removed {sized(freed)} of weights from {folder.path}; the sweep keeps {keep} from now on"
    told += f", and {sized(others)} that no row of its jobs names, as after undo" if others else ""
    return answer(told, as_json=as_json, name=folder.name, keep_weights=keep, bytes=freed, bytes_of_others=others)


def rm(
    names: Annotated[
        list[str], typer.Argument(metavar="SWEEP", autocompletion=sweeps, help="The sweeps, as for other commands.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = DEFAULT_OUTPUT,
    as_json: AsJson = False,
) -> int:
    """Remove sweeps with their folders: results, weights and reports.

    Asks before; the exit status is 1 unless the answer is yes. A sweep that runs is not removed; other sweeps keep the
    results that they reused.

    Example: orchestrator rm night-run --yes
    """
    folders = list({each.path.resolve(): each for each in (open_sweep(name, output) for name in names)}.values())
    for folder in folders:
        # A sweep that runs is reported before anything is asked or removed.
        with managing.changing(folder):
            pass
    if not yes and not sys.stdin.isatty():
        raise InvalidInputError("yes", Described("missing"), "--yes, because there is no terminal to ask")
    if not yes:
        # Not `typer.confirm`, for which Ctrl-D is an interruption: here, Ctrl-D is "no", and Ctrl-C an interruption.
        told = [f"{each.path} ({sized(size(each.path))})" for each in folders]
        print(printable(f"Remove {listed(told, 'and')}? [y/N]: "), end="", file=sys.stderr, flush=True)
        typed = sys.stdin.readline()
        if typed.strip().lower() not in ("y", "yes"):
            # Ctrl-D leaves the cursor behind the question.
            end = "" if typed else "\n"
            complain(f"{end}Nothing is removed of {listed([each.name for each in folders], 'and')}")
            folders = []
    removed: list[str] = []
    try:
        for folder in folders:
            managing.remove(folder)
            removed.append(str(folder.path))
    finally:
        # Also if the next one cannot be removed.
        if removed or as_json:
            answer("\n".join(f"Removed {path}" for path in removed), as_json=as_json, removed=removed)
    return 0 if folders else 1
