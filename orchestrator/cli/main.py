"""The command `orchestrator`: finds the command that was typed, runs it, and turns errors into one sentence.

Imports nothing that takes time, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nn.errors import SeedsweepError
from orchestrator.cli.commands.answers import compare, leaderboard, predict, read_test, show
from orchestrator.cli.commands.preparing import init, trainers
from orchestrator.cli.commands.publishing import export, plot, report, serve
from orchestrator.cli.commands.training import cancel, confirm, decide, extend, sweep, verify, watch
from orchestrator.cli.streams import OutputLost, guard
from orchestrator.cli.words.flags import ExtensionCommand, SpecificationCommand
from orchestrator.cli.words.usage import usage_message
from worker.text import one_line

#: Exit status of a command with invalid input, or one that could not begin.
BAD_INPUT = 2
#: Characters in an error message; a path alone may have 4096.
LONGEST_MESSAGE = 1000

app = typer.Typer(
    add_completion=False,
    # Plain text: rich's boxes would double the time that --help takes.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
FLAGS = {sweep: SpecificationCommand, extend: ExtensionCommand}
for command in (
    sweep, extend, confirm, init, watch, leaderboard, compare, cancel, decide, verify, show, predict, read_test,
    trainers, report, plot, export, serve,
):  # fmt: skip
    # pytest would take a function of that name for a test.
    name = "test" if command is read_test else None
    # The short help is given here, because typer truncates one that it takes from a docstring.
    app.command(name, cls=FLAGS.get(command), short_help=str(command.__doc__).partition("\n")[0])(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"seedsweep {version('seedsweep')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _orchestrator(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train one network under many seeds and configurations, and rank the configurations.

    Example: orchestrator sweep --seeds 0-4 --learning-rates 0.01,0.03 --name first
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(BAD_INPUT)


def run(arguments: list[str]) -> int:
    """Run a command and return its exit status; an error is printed as one sentence on standard error."""
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OutputLost as lost:
        if lost.sentence:
            print(f"orchestrator: {lost.sentence}", file=sys.stderr)
        if lost.advice:
            print(lost.advice, file=sys.stderr)
        return lost.status
    return status


def _run(arguments: list[str]) -> int:
    try:
        return int(app(args=arguments, prog_name="orchestrator", standalone_mode=False) or 0)
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        message = usage_message(error, arguments)
    except SeedsweepError as error:
        message = str(error)
    if message:
        print(f"orchestrator: {_shortened(one_line(message))}", file=sys.stderr)
    return BAD_INPUT


def _shortened(text: str) -> str:
    """Leave the middle of a long message out."""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE // 2]}...{text[-LONGEST_MESSAGE // 2 :]}"


def main() -> None:
    """Entry point of the console command."""
    guard()
    sys.exit(run(sys.argv[1:]))
