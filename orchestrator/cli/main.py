"""The command `orchestrator`: finds the command that was typed, runs it, and turns errors into one sentence.

Imports nothing that takes time, so that `--help` answers at once; a command's module is imported when it is called.
"""

import gc
import importlib
import os
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import CompletionItem, TyperGroup  # type: ignore[attr-defined]

from nn.errors import SeedsweepError, meant
from orchestrator.cli.shared.streams import OutputLost, guard
from orchestrator.interruption import Interrupted, Interruption, raise_swallowed
from worker.text import one_line

#: Exit status of a command with invalid input, or one that could not begin.
BAD_INPUT = 2
#: Characters in an error message; a path alone may have 4096.
LONGEST_MESSAGE = 1000
#: The commands in panels, in the order of use. Each is `command` in the module of its name, or the function of its name
#: in the module that `SHARED` names; `KIND` there is its class, if that is not `Command`.
PANELS = {
    "Train": ("sweep", "extend", "confirm", "decide", "undo"),
    "Answer": ("leaderboard", "compare", "test", "verify", "verify-claim"),
    "Look": ("list", "show", "plot", "logs", "weights", "predict", "note", "mv", "prune", "rm"),
    "Share": ("report", "serve", "export", "claim"),
    "Cluster": ("submit", "status", "watch", "cancel"),
    "Set up": ("config", "doctor", "trainers"),
}
SHARED = {
    **dict.fromkeys(("note", "mv", "undo", "prune", "rm"), "folders"),
    "cancel": "watch",
    "config": "doctor",
    "predict": "show",
    "submit": "sweep",
    "verify-claim": "claim",
    "weights": "logs",
}
COMMANDS = tuple(name for panel in PANELS.values() for name in panel)
#: What the exit status of a command says.
STATUSES = {
    "0": "Done.",
    "1": "The answer is no: something is missing, different or undecided, or jobs have no result.",
    "2": "Wrong use, or the command could not begin; nothing is changed.",
    "3": "The cluster failed (decide).",
    "129, 130, 143": "Ended by a signal; 130 by Ctrl-C.",
    "141": "The reader of the output has gone.",
}
#: Plain text: rich's boxes would double the time that --help takes.
_PLAIN: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}
_CONTEXT = {"help_option_names": ["-h", "--help"]}
#: Arguments, separated by zero bytes, that a comma at an end of each ties to the one before it.
_SPLIT_LIST = re.compile(r"[^\0]+(?:(?:(?<=,)\0|\0(?=,))[^\0]*)+")


class Commands(TyperGroup):
    """The commands. Only the one that is called is imported."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (typer's)
        """Return the names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a command; None if the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        name, function = _place(cmd_name)
        module = importlib.import_module(f"orchestrator.cli.{name}")
        from orchestrator.cli.shared.parameters import Command

        app = typer.Typer(**_PLAIN, context_settings=_CONTEXT)
        app.command(cmd_name, cls=getattr(module, "KIND", Command))(getattr(module, function))
        return typer.main.get_command(app)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands that begin so, without importing them; or the options."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=summary(name)) for name in COMMANDS if name.startswith(incomplete)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """List the commands, without importing them, and the exit statuses."""
        panels = {title: {name: summary(name) for name in names} for title, names in PANELS.items()}
        for title, panel in {**panels, "Exit status": STATUSES}.items():
            with formatter.section(title):
                formatter.write_dl(list(panel.items()))


def _place(command: str) -> tuple[str, str]:
    return (SHARED[command], command.replace("-", "_")) if command in SHARED else (command, "command")


def summary(command: str) -> str:
    """Return what a command does, the first line of its help, without importing its module."""
    name, function = _place(command)
    source = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
    return source.partition(f"\ndef {function}(")[2].partition('"""')[2].partition("\n")[0]


app = typer.Typer(cls=Commands, **_PLAIN, context_settings=_CONTEXT)


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
    """Train a model under many seeds and configurations, and rank the configurations.

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
    except Interrupted as interrupted:
        return interrupted.status
    except OutputLost as lost:
        if lost.sentence:
            print(f"orchestrator: {lost.sentence}", file=sys.stderr)
        if lost.advice:
            print(lost.advice, file=sys.stderr)
        return lost.status
    return status


def _run(arguments: list[str]) -> int:
    if "_ORCHESTRATOR_COMPLETE" in os.environ:  # typer completes, and exits
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        return int(app(args=arguments, prog_name="orchestrator", standalone_mode=False) or 0)
    except typer.Abort:
        return 130
    except Exception as error:
        raise_swallowed()
        if not isinstance(error, SeedsweepError | typer.TyperException):
            raise
        message = usage_message(error, arguments) if isinstance(error, typer.TyperException) else str(error)
    if len(told := one_line(message)) > LONGEST_MESSAGE:
        told = f"{told[: LONGEST_MESSAGE // 2]}...{told[-LONGEST_MESSAGE // 2 :]}"
    if told:
        print(f"orchestrator: {told}", file=sys.stderr)
    return BAD_INPUT


def usage_message(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Return typer's error as one sentence that says how to correct the command line.

    Args:
        error: What typer raised.
        arguments: The words after `orchestrator`.
    """
    message = error.format_message()
    unknown = getattr(error, "option_name", None)
    context = getattr(error, "ctx", None)
    # Only the error for an unknown option has `possibilities`. They are not used: for `--lr`, they are `--help`.
    if unknown is not None and context is not None and hasattr(error, "possibilities"):
        # By each spelling, the one that messages use.
        known = {
            name: parameter.opts[-1]
            for parameter in context.command.get_params(context)
            for name in parameter.opts
            if name.startswith("--")
        }
        near = dict.fromkeys(known[name] for name in near_options(unknown, list(known)))
        return f"No such option: {unknown}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    if message.startswith("No such command"):
        word = message.split("'")[1]
        return f"No such command: {word}{meant(word, COMMANDS) or ' (orchestrator --help lists them)'}"
    parameter = getattr(error, "param", None)
    if message.startswith("Missing") and parameter is not None:
        from orchestrator.cli.shared.parameters import spelled

        values = parameter.metavar.replace("|", ", ") if "|" in parameter.metavar else ""
        what = values or f"{parameter.help} ".partition(". ")[0]
        return f"{spelled(parameter)} is missing; allowed: {what[:1].lower()}{what[1:]}"
    if "extra argument" not in message or context is None:
        return message
    if split := _SPLIT_LIST.search("\0".join(arguments)):
        whole = split[0].replace("\0", "")
        return f"Spaces split a list into several arguments: write {whole} or '{whole.replace(',', ', ')}'"
    usage = " ".join((context.command_path, *context.command.collect_usage_pieces(context)))
    return f"The argument {message.rpartition('(')[2].split()[0].rstrip(')')} is one too many; allowed: {usage}"


def near_options(unknown: str, known: Sequence[str]) -> list[str]:
    """Return the options that `unknown` may stand for: as a misspelling, a prefix, or the initials of the words."""
    word = unknown.lstrip("-")
    names = {option.lstrip("-"): option for option in known}
    near = get_close_matches(word, names, cutoff=0.7)
    meant = [name for name in names if name.startswith(word) or word == "".join(part[0] for part in name.split("-"))]
    return [names[name] for name in dict.fromkeys([*near, *meant])]


def main() -> None:
    """Entry point of the console command."""
    # Importing makes no garbage, and to look for some after every 700 objects takes a part of a short command's time.
    gc.set_threshold(10_000)
    guard()
    with Interruption().handling():
        sys.exit(run(sys.argv[1:]))
