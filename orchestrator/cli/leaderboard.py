"""`orchestrator leaderboard`: says which configuration of a sweep to use, and shows the table."""

from typing import Annotated

import typer
from rich.console import Console

from nn.errors import Beside, Described, InvalidInputError, printable
from orchestrator.analysis.leaderboard import table
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import advise, complain, print_json, print_leaderboard, say
from orchestrator.cli.shared.parameters import AnySweep, Metric, integer, of_sweep, one_of, option_words, positive
from orchestrator.sweeps.axes import split
from orchestrator.sweeps.specification import MAX_JOBS


def command(
    folder: AnySweep,
    metric: Metric = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            autocompletion=option_words,
            help="Only configurations with this value of an option; may be repeated.",
        ),
    ] = None,
    within: Annotated[
        float | None,
        positive(
            "A regret that suffices, in the unit of the metric: 0.001 is 0.1 points of accuracy.  [default: that of "
            "the last decide, if any]"
        ),
    ] = None,
    by: Annotated[
        str, one_of("configuration", "job", help="A row for each configuration, or for each job.")
    ] = "configuration",
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            autocompletion=of_sweep(lambda sweep: (*table.sortable(), *sweep.names.varying)),
            help="Sort by a column, such as mean, or by an option that varies.  [default: rank]",
        ),
    ] = None,
    top: Annotated[int | None, integer(1, MAX_JOBS, "Show only the first rows.  [default: all]")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="METRICS", help="Show also the means of these metrics: loss,accuracy.")
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Show all columns.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the verdict and the table as Markdown.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with the fields of leaderboard.json.")
    ] = False,
) -> int:
    """Say which configuration of a sweep to use, and show its leaderboard.

    Reads the sweep's folder, of a finished sweep or one that runs, and changes nothing. The verdict is about all
    configurations, or those that --where leaves; --sort and --top change only what is shown.

    Exit status: 0, or 1 if no configuration can be recommended, because no job has a result or most diverged.

    Example: orchestrator leaderboard night-run --where learning_rate=0.03 --wide
    """
    asked = [flag for flag, given in (("csv", csv), ("markdown", markdown), ("json", as_json)) if given]
    if len(asked) > 1:
        raise InvalidInputError(f"--{asked[1]}", Described("given"), Beside(f"--{asked[0]}"))
    if by == "job" and sort is not None:
        raise InvalidInputError("sort", sort, Beside("--by job, which sorts by the score"))
    complete = ["--by job"] * (by == "job") + [f"--{each}" for each in asked if each != "markdown"]
    for name, given in (("wide", wide), ("columns", columns)):
        if given and complete:
            raise InvalidInputError(name, Described("given"), Beside(f"{complete[0]}, which has all columns"))
    whole = Sweep.read(folder)
    if whole.folder.damage:
        complain(whole.folder.damage)
    found = whole.select(where or (), metric, within)
    board, is_by_job = found.leaderboard, by == "job"
    further = [found.metric(str(each), "columns") for each in (split(columns) if columns else ())]
    standings = () if is_by_job else table.arranged(board, sort or "rank", top)
    if as_json:
        print_json(table.jobs_as_dict(board, top) if is_by_job else table.as_dict(board, standings))
    elif csv:
        print(table.jobs_to_csv(board, top) if is_by_job else table.to_csv(board, standings), end="")
    else:
        shown = table.by_configuration(board, standings, wide=wide, further=further)
        shown = table.by_job(board, top) if is_by_job else shown
        if markdown:
            print(printable(table.to_markdown(board, shown)), end="")
        else:
            console = Console(highlight=False)
            print_leaderboard(console, board, shown)
            if not is_by_job:
                say(console, str(found.accounting))
                advise(console, found)
    return 1 if board.verdict.leader is None else 0
