"""`orchestrator test`: evaluates the chosen configuration on the test split, once."""

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.analysis.leaderboard.scores import OWN_SPLITS
from orchestrator.cli.shared.output import complain, print_json, print_table, say
from orchestrator.cli.shared.parameters import AsJson, NamedSweep, option_words
from orchestrator.commands.test import read_test_split
from orchestrator.folder.reading import FILE
from orchestrator.text import moment
from worker.settings import load_settings
from worker.trainers.protocol import Metric


def command(
    folder: NamedSweep,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONFIGURATION",
            autocompletion=option_words,
            help="NAME=VALUE, as in learning_rate=0.03.  [default: the leader]",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Evaluate the chosen configuration on the test split, once.

    The sweep began with --test-size, which held samples out of training and validation. The result is recorded in the
    sweep's folder. After that, the command shows the record, and refuses every other configuration.

    Example: orchestrator test night-run
    """
    found = read_test_split(folder, words or (), cache_dir=load_settings().cache_dir, tell=complain)
    record, metric = found.reading, found.metric
    if as_json:
        return print_json({"sweep": found.sweep, "repeated": found.repeated, **record.model_dump(mode="json")})
    console = Console()
    say(console, str(found))
    rows = [
        (name, metric.number(each.mean), _ends(metric, each.low, each.high), _ends(metric, each.low_new, each.high_new))
        for name, each in (("validation", record.validation), ("test", record.test))
    ]
    unit = " in %" if metric.is_share else ""
    these = "95 %, these samples" if len(record.jobs) > 1 else "95 % (needs 2 seeds)"
    print_table(console, ("samples", f"mean{unit}", these, "95 %, new samples"), rows)
    if found.draws_split:
        say(console, f"Validation: {OWN_SPLITS}")
    when = f"shown from the record of {moment(record.read)}" if found.repeated else "recorded"
    say(console, f"The test split is read once; {when}: {folder.path / FILE}")
    return 0


def _ends(metric: Metric, low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{metric.number(low)} to {metric.number(high)}"
