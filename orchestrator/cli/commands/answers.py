"""Commands that answer questions about a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.commands.parameters import JOB, Json, Output, SweepOrFolder
from orchestrator.cli.words.options import DEFAULT_OUTPUT


def leaderboard(
    sweep_folder: SweepOrFolder,
    metric: Annotated[
        str,
        typer.Option(
            help="Which number of a job counts: last (epoch), best (epoch), or mean-K, over the last K epochs."
        ),
    ] = "last",
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only configurations with this value of an option; may be repeated."),
    ] = None,
    by: Annotated[str, typer.Option(help="A row for each configuration, or for each job.")] = "configuration",
    sort: Annotated[
        str | None,
        typer.Option(help="Sort the rows by a column, such as mean, or by an option that varies.  [default: rank]"),
    ] = None,
    top: Annotated[str | None, typer.Option(help="Show only so many rows.  [default: all]")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Show all columns.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the verdict and the table as Markdown.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with the fields of leaderboard.json.")
    ] = False,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Say which configuration of a sweep to use, and show its leaderboard.

    Reads the sweep's folder, of a finished sweep or one that runs, and changes nothing. The verdict is about all
    configurations, or those that --where leaves; --sort and --top change only what is shown.

    Exit status: 0, or 1 if no configuration can be recommended, because no job has a result or all diverged.

    Example: orchestrator leaderboard night-run --where learning_rate=0.03 --wide
    """
    from orchestrator.cli.answers.leaderboard import Options, run_leaderboard

    options = Options(metric, where or (), by, sort, top, wide, csv, markdown, json, output)
    return run_leaderboard(sweep_folder, options)


def compare(
    sweep_folder: SweepOrFolder,
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="B", help="Another sweep; or two configurations: learning_rate=0.01 learning_rate=0.03."
        ),
    ] = None,
    within: Annotated[
        str | None, typer.Option(help="How large a difference does not matter, such as 0.001 for 0.1 points.")
    ] = None,
    output: Output = DEFAULT_OUTPUT,
    json: Json = False,
) -> int:
    """Compare two configurations of one sweep, or the leaders of two sweeps.

    A configuration of several options is written in quotes: "learning_rate=0.01 epochs=5". After two sweeps, one
    configuration means that one of both, and two mean one of each.

    Exit status: 0 if the difference is decided, 1 if it is not.

    Example: orchestrator compare night-run learning_rate=0.01 learning_rate=0.03 --within 0.001
    """
    from orchestrator.cli.answers.compare import run_compare

    return run_compare(sweep_folder, others or [], within, output, as_json=json)


def show(
    sweep_folder: SweepOrFolder,
    words: Annotated[list[str], typer.Argument(metavar="JOB", help=JOB)],
    json: Json = False,
) -> int:
    """Show what a job learned, and its mistakes on the validation set.

    Example: orchestrator show night-run seed=3 learning_rate=0.01
    """
    from orchestrator.cli.answers.show import run_show

    return run_show(sweep_folder, words, as_json=json)


def predict(
    sweep_folder: SweepOrFolder,
    image: Annotated[
        str, typer.Option(help="A picture of one digit, 28x28 pixels or larger, dark on light or light on dark.")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="JOB", help=f"{JOB}  [default: the leaderboard's best]")
    ] = None,
    job: Annotated[str | None, typer.Option(help="The same as JOB.")] = None,
    json: Json = False,
) -> int:
    """Say which digit a picture shows.

    Example: orchestrator predict night-run seed=3 learning_rate=0.01 --image digit.png
    """
    from orchestrator.cli.answers.show import run_predict

    return run_predict(sweep_folder, image, words or [], job, as_json=json)


def read_test(
    sweep_folder: SweepOrFolder,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONFIGURATION", help="NAME=VALUE, as in learning_rate=0.03.  [default: the leader]"),
    ] = None,
    output: Output = DEFAULT_OUTPUT,
    json: Json = False,
) -> int:
    """Evaluate the chosen configuration on the test split, once.

    The sweep began with --test-size, which held samples out of training and validation. The result is recorded in the
    sweep's folder. After that, the command shows the record, and refuses every other configuration.

    Example: orchestrator test night-run
    """
    from orchestrator.cli.answers.held_out import run_test

    return run_test(sweep_folder, words or [], output, as_json=json)
