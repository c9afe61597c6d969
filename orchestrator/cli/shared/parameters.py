"""The parameters that several commands share, and their parsers.

An error names a parameter as Python spells it (`tracking_uri`); `Command` spells it as the user typed it.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from typer.core import TyperCommand

from nn.errors import InvalidInputError, SeedsweepError, printable
from orchestrator.folder.sweeps import LAST, NOTE, REPORT, Sweeps, content, open_sweep
from orchestrator.text import listed
from worker.settings import load_settings

if TYPE_CHECKING:
    from orchestrator.analysis.sweep import Sweep
    from orchestrator.folder.sweep_folder import SweepFolder
else:
    # What typer reads; `Command` opens it. Importing the class takes a while, and not every command needs it.
    SweepFolder = str

T = TypeVar("T")
#: The folder that holds the sweeps, one folder for each.
DEFAULT_OUTPUT = Path("runs")
MAX_WORKERS = 1024
#: The sweep that a command works on, in its usage line.
SWEEP = "SWEEP"
#: What to do if a sweep may be on a cluster, and none is named.
CLUSTER_ADVICE = "if a cluster trains it, name that by --broker or CELERY_BROKER_URL"
#: Files of what a report shows: a session writes the first one at its end.
_SHOWN = ("leaderboard.json", "test.json", NOTE)


class Command(TyperCommand):
    """A command whose errors name a parameter by its flag, or as the usage line does.

    A parameter `folder` in place of SWEEP is the folder of that sweep, and brings the option --output.
    """

    #: Whether the sweep may be one that only a cluster knows.
    elsewhere = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Turn words into values. If the first one picks jobs, and so names no sweep, the last sweep is meant."""
        with self._spelling(ctx):
            rest = super().parse_args(ctx, args)
        sweep = self._sweep
        # A sweep's name has no equals sign; its path may.
        if "words" in ctx.params and sweep and not sweep.required and "=" in ctx.params["folder"].split("/")[0]:
            ctx.params["words"] = [ctx.params["folder"], *(ctx.params["words"] or [])]
            ctx.params["folder"] = LAST
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with self._spelling(ctx):
            if self._sweep:
                named = ctx.params["folder"], ctx.params["output"]
                folder = open_any(*named, ctx.params["broker"]) if self.elsewhere else open_sweep(*named)
                ctx.params["folder"] = folder
                if ctx.params.get("verbose") is not False:
                    ctx.with_resource(telling_outdated(folder.path))
            for each in self._output:
                del ctx.params[each.name]
            return super().invoke(ctx)

    @cached_property
    def _sweep(self) -> Any:
        """The parameter of the sweep whose folder the command gets; None without one."""
        return next((each for each in self.params if (each.name, each.metavar) == ("folder", SWEEP)), None)

    @cached_property
    def _output(self) -> list[Any]:
        if not self._sweep or any(each.name == "output" for each in self.params):
            return []
        output = inspect.Parameter("output", inspect.Parameter.KEYWORD_ONLY, default=DEFAULT_OUTPUT, annotation=Output)
        return made_of([output])

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters. Arguments show no type: their names and texts say what they are."""
        *params, help_option = super().get_params(ctx)
        params += [*self._output, help_option]
        for each in params:
            if each.param_type_name == "argument":
                each.__dict__["display_type_rich"] = lambda ctx: ""  # noqa: ARG005
        return params

    @contextlib.contextmanager
    def _spelling(self, ctx: Any) -> Iterator[None]:
        try:
            yield
        except typer.BadParameter as error:
            # typer parses values with pydantic, which wraps the error of a parser.
            cause = error.__cause__
            why = cause.errors()[0].get("ctx", {}).get("error") if isinstance(cause, ValidationError) else None
            if not isinstance(why, InvalidInputError):
                raise
            raise InvalidInputError(spelled(error.param), why.value, why.allowed) from None
        except InvalidInputError as error:
            named = next((each for each in self.get_params(ctx) if each.name == error.field), None)
            if named is None:
                raise
            raise InvalidInputError(spelled(named), error.value, error.allowed) from None


class SweepElsewhere(Command):
    """A command on a sweep that may have no folder on this machine."""

    elsewhere = True


def names_cluster(broker: str | None) -> bool:
    """Return whether a flag or a setting names a cluster."""
    return broker is not None or load_settings().broker_url is not None


def open_any(argument: str, output: Path, broker: str | None) -> SweepFolder:
    """Return the folder of a sweep, which may be missing if a flag or a setting names a cluster."""
    return open_sweep(argument, output, elsewhere=names_cluster(broker), advice=CLUSTER_ADVICE)


@contextlib.contextmanager
def telling_outdated(folder: Path) -> Iterator[None]:
    """Say at the end if the block has changed what an earlier report in a sweep's folder shows."""
    before = content(folder, _SHOWN)
    yield
    if os.path.lexists(folder / REPORT) and content(folder, _SHOWN) != before:
        told = f"{folder / REPORT} shows the sweep as it was before; to write it again: orchestrator report"
        print(printable(f"{told} {shlex.quote(str(folder))}"), file=sys.stderr)


def made_of(parameters: list[inspect.Parameter]) -> list[Any]:
    """Return what typer makes of the parameters of a function."""

    def function(**_: object) -> None:
        """Do nothing: only the signature is used."""

    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return list(typer.main.get_command(app).params)


def spelled(parameter: Any) -> str:
    """Return a parameter as the user types it, or as the usage line does."""
    return str(parameter.opts[-1] if parameter.param_type_name == "option" else parameter.metavar)


def _parser(allowed: str, read: Callable[[str], T | None]) -> Callable[[str], T]:
    """Return a parser that raises `InvalidInputError` for a text of which `read` makes nothing."""

    def parse(text: object) -> T:
        value = read(str(text))
        if value is None:
            raise InvalidInputError("the value", str(text), allowed)
        return value

    return parse


def integer(low: int, high: int, help: str) -> Any:  # noqa: A002 (typer's name)
    """Return an option for an integer in a range."""

    def read(text: str) -> int | None:
        # int() would also accept 1_0, and digits of other scripts.
        return int(text) if re.fullmatch("[0-9]{1,10}", text) and low <= int(text) <= high else None

    return typer.Option(parser=_parser(f"an integer from {low} to {high}", read), metavar="INTEGER", help=help)


def positive(help: str) -> Any:  # noqa: A002
    """Return an option for a finite number above 0, in the unit of the metric."""

    def read(text: str) -> float | None:
        with contextlib.suppress(ValueError):
            return value if re.fullmatch(r"[0-9.eE+-]{1,30}", text) and 0 < (value := float(text)) < math.inf else None
        return None

    parse = _parser("a number above 0, in the unit of the metric, such as 0.001", read)
    return typer.Option(parser=parse, metavar="NUMBER", help=help)


def offer(text: str) -> Callable[[], list[str]]:
    """Return what completes a value that is described as `a|b` or `a, b or c`; nothing for other values."""
    values = re.split(r"\||, | or ", text.removesuffix("[,...]"))
    return lambda: values if len(values) > 1 and not any(" " in each for each in values) else []


#: What the options for the weights that a sweep keeps show and complete.
KEEPING: dict[str, Any] = {"metavar": "<all|best:K|none>", "autocompletion": offer("all|none|best:1|best:3")}


def one_of(*values: str, help: str) -> Any:  # noqa: A002
    """Return an option for one of several words."""
    shown, parse = "|".join(values), _parser(listed(list(values), "or"), lambda text: text if text in values else None)
    return typer.Option(parser=parse, metavar=shown, help=help, autocompletion=offer(shown))


def path(allowed: str) -> Callable[[str], Path]:
    """Return a parser of paths. It rejects an empty text, which would mean the working folder."""
    return _parser(allowed, lambda text: Path(text) if text and "\0" not in text else None)


def file(metavar: str, help: str) -> Any:  # noqa: A002
    """Return an option for the path of a file."""
    return typer.Option(parser=path("the path of a file"), metavar=metavar, help=help)


def sweeps(context: typer.Context) -> list[str]:
    """Return the names of the sweeps, for completion; none if they cannot be read."""
    with contextlib.suppress(SeedsweepError):
        names = Sweeps(Path(context.params.get("output") or DEFAULT_OUTPUT)).names()
        return [LAST, *names] if names else []
    return []


def of_sweep(read: Callable[[Sweep], Iterable[str]], *, rows: bool = False) -> Callable[[typer.Context], list[str]]:
    """Return what completes a word by what `read` finds in the sweep that was typed; nothing if it cannot be read."""

    def words(context: typer.Context) -> list[str]:
        # Imported here because it takes a while.
        from orchestrator.analysis.sweep import Sweep

        with contextlib.suppress(SeedsweepError):
            # Before the value of an option, click leaves the arguments as they were typed.
            name = next(iter(context.args), context.params.get("folder") or LAST)
            sweep = Sweep.read(open_sweep(name, Path(context.params.get("output") or DEFAULT_OUTPUT)), rows=rows)
            # The folder may be a stranger's, and a shell may run what it is offered.
            return [word for word in dict.fromkeys(read(sweep)) if re.fullmatch(r"[\w.,=+:/-]+", word, re.ASCII)]
        return []

    return words


#: These complete words that pick configurations, and jobs.
option_words = of_sweep(lambda sweep: chain(*(sweep.names.picking(job.options) for job in sweep.jobs.values())))
job_words = of_sweep(
    lambda sweep: chain(*((f"seed={job.seed}", *sweep.names.picking(job.options)) for job in sweep.jobs.values()))
)


def sides(context: typer.Context) -> list[str]:
    """Return what completes the words of a comparison: configurations, or first another sweep."""
    return [*(() if context.params.get("words") else sweeps(context)), *option_words(context)]


_SWEEP = "A sweep's name in the folder of --output, its own folder, or last: what changed last."
NamedSweep = Annotated[SweepFolder, typer.Argument(metavar=SWEEP, autocompletion=sweeps, help=_SWEEP)]
AnySweep = Annotated[
    SweepFolder,
    typer.Argument(
        metavar=SWEEP, autocompletion=sweeps, help=f"{_SWEEP}  [default: last]",
        default_factory=lambda: LAST, show_default=False,
    ),
]  # fmt: skip
Output = Annotated[
    Path,
    typer.Option(
        parser=path("the path of a folder"), metavar="FOLDER",
        help="The folder that holds the sweeps, one folder for each.",
    ),
]  # fmt: skip
Broker = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The Redis server of the cluster.  [default: $CELERY_BROKER_URL]"),
]
BrokerOrOwn = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A Redis server with workers.  [default: $CELERY_BROKER_URL, or one of its own]"),
]
Workers = Annotated[int | None, integer(1, MAX_WORKERS, "Processes of the embedded cluster.  [default: one per core]")]
NoReuse = Annotated[
    bool,
    typer.Option("--no-reuse", help="Train every new job from its first epoch, even if another sweep has its result."),
]
ReuseAnyway = Annotated[bool, typer.Option("--reuse-anyway", help="Take also results by other code of the trainer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, instead of text.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be trained, and about how long that takes; begin nothing.")
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="METRIC[:EPOCHS]",
        autocompletion=of_sweep(lambda sweep: ("last", "best", *sweep.metrics)),
        help="What counts: a metric that the trainer reports; which of its epochs, last, best, or mean-K over the last "
        "K; or both, as in loss:best.  [default: that of the sweep; in a new one, the trainer's own, last]",
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]


def picking(default: str = "") -> Any:
    """Return an argument for the words that pick jobs; `default` says which are meant without any."""
    return typer.Argument(
        metavar="JOB", autocompletion=job_words,
        help="NAME=VALUE, where NAME is seed or an option; a seed; SEED:LEARNING_RATE; or the first digits of a job's "
        "key. Several words must all fit." + (f"  [default: {default}]" if default else ""),
    )  # fmt: skip


BestJob = Annotated[list[str] | None, picking("the leaderboard's best")]
