"""`orchestrator list`: the sweeps of a folder, and how each stands."""

from dataclasses import asdict

from rich.console import Console

from orchestrator.analysis.summary import Summary, summaries
from orchestrator.cli.shared.output import print_json, print_table, say
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AsJson, Output
from orchestrator.text import moment, sized

HEADINGS = ("sweep", "changed", "state", "jobs", "verdict", "size", "note")
SPARE = ("size", "changed", "note", "jobs", "verdict")


def command(output: Output = DEFAULT_OUTPUT, as_json: AsJson = False) -> int:
    """List the sweeps of a folder, the last one first, with state, jobs, verdict, size and note.

    Reads the folder alone. In the column jobs, 7/10 means that 7 of 10 jobs have a result or failed.

    Example: orchestrator list --output runs
    """
    found = summaries(output)
    if as_json:
        print_json({"folder": str(output), "sweeps": [asdict(each) for each in found]})
    elif found:
        print_table(Console(highlight=False), HEADINGS, list(map(_row, found)), spare=SPARE, is_text=True)
    else:
        say(Console(), f"There is no sweep in {output} yet")
    return 0


def _row(each: Summary) -> tuple[str, ...]:
    jobs, when = f"{each.done}/{each.planned}", moment(each.changed)
    return (each.name, when, each.state, jobs, each.short, sized(each.size), each.note)
