"""`orchestrator status`: what runs here and on a cluster, and who works."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator.analysis.summary import summary
from orchestrator.cli.shared.output import complain, print_json, print_table, say
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AsJson, Broker, Output, names_cluster, open_any, sweeps
from orchestrator.folder.locks import holder, locks
from orchestrator.folder.sweeps import Sweeps, open_sweep
from orchestrator.text import duration, moment

#: Columns of the tables that a narrow terminal leaves out, in this order.
SPARE = (
    "trainer", "data", "last heartbeat", "processes", "place", "jobs per minute", "waiting", "running", "training",
    "epochs", "time left", "jobs", "worker",
)  # fmt: skip


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="SWEEP", autocompletion=sweeps, help="Only this sweep.  [default: all]", show_default=False
        ),
    ] = None,
    broker: Broker = None,
    output: Output = DEFAULT_OUTPUT,
    as_json: AsJson = False,
) -> int:
    """Show what runs here and on a cluster: sweeps, jobs under way, and workers.

    A worker that has sent no heartbeat for a whole lease is lost, and its jobs wait for another one.

    Example: orchestrator status --broker redis://gpu-host:6379/0
    """
    may_run = names_cluster(broker)
    folder = None if name is None else open_any(name, output, broker)
    output = output if folder is None else folder.path.parent
    found: dict[str, list[dict[str, Any]]] = {"sweeps": [], "jobs": [], "workers": []}
    names, taken = Sweeps(output).names(), locks()
    if may_run or any(holder(output / each, taken) for each in names):
        # Imported here because it takes longer than all else, and mostly nothing runs.
        from orchestrator.cluster.connect import place_for
        from orchestrator.commands.status import status

        found = status(output, place_for(broker, tell=complain), None if folder is None else folder.name)
    if folder is not None and not found["sweeps"] and not folder.exists():
        open_sweep(folder.name, output)
    if as_json:
        idle = {} if folder is None or found["sweeps"] else {"standing": asdict(summary(folder.path))}
        return print_json(found | idle)
    console = Console(highlight=False)
    if not found["sweeps"] and folder is not None:
        from orchestrator.cli.shared.outcome import standing

        say(console, standing(folder, broker))
    elif not found["sweeps"]:
        say(console, "No sweep runs")
    for each in found["sweeps"]:
        seconds = each.pop("seconds_left")
        each["time_left"] = None if seconds is None else duration(seconds)
        trouble = [f"{count} {name}" for name in ("failed", "diverged", "retried") if (count := each.pop(name))]
        each["trouble"] = ", ".join(trouble) or None
    found["workers"] = [each | {"last_heartbeat": moment(each["last_heartbeat"])} for each in found["workers"]]
    for rows in filter(None, found.values()):
        headings = [name.replace("_", " ") for name in rows[0]]
        cells = [["-" if cell is None else str(cell) for cell in each.values()] for each in rows]
        print_table(console, headings, cells, spare=SPARE, is_text=True)
    return 0
