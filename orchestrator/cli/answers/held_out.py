"""`orchestrator test`: reads its arguments, calls the command, shows its result."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console

from orchestrator.analysis.lookup import open_sweep
from orchestrator.cli.output import print_table, say
from orchestrator.cli.words.arguments import output_folder
from orchestrator.commands.answers.held_out import HeldOut, read_test_split
from orchestrator.folder.reading import FILE, Estimate
from orchestrator.text import counted
from worker.settings import load_settings
from worker.trainers.protocol import Metric


def run_test(sweep: str, words: Sequence[str], output: str, *, as_json: bool) -> int:
    """Print what the test split says about a configuration, and return the exit status.

    Raises:
        SeedsweepError: the split cannot be read, or not for this configuration.
    """
    folder = open_sweep(sweep, output_folder(output))
    found = read_test_split(folder, words, cache_dir=load_settings().cache_dir)
    if as_json:
        print(json.dumps({"sweep": found.sweep, "repeated": found.repeated, **found.reading.model_dump(mode="json")}))
        return 0
    console = Console()
    say(console, sentence(found))
    _print(console, found)
    when = f"shown from the record of {found.reading.read}" if found.repeated else "recorded"
    say(console, f"The test split is read once; {when}: {folder.path / FILE}")
    return 0


def sentence(found: HeldOut) -> str:
    """Return the result in words."""
    record, metric = found.reading, found.metric
    who = record.name or "The only configuration"
    chosen = ", the leader," if record.chosen == "leader" and record.name else ""
    diverged = f" {counted(record.diverged, 'job')} of it diverged and had no part." if record.diverged else ""
    return (
        f"{who}{chosen} has a {metric.name.replace('validation', 'test')} of {metric.shown(record.test.mean)} on "
        f"{counted(record.test_size, 'sample')} that no job had seen, over {counted(len(record.jobs), 'seed')}; "
        f"on the validation samples, by which it was chosen, {metric.shown(record.validation.mean)}.{diverged}"
    )


def _print(console: Console, found: HeldOut) -> None:
    record, metric = found.reading, found.metric
    rows = [
        (name, metric.number(each.mean), _ends(metric, each.low, each.high), _ends(metric, each.low_new, each.high_new))
        for name, each in (("validation", record.validation), ("test", record.test))
    ]
    unit = " in %" if metric.is_share else ""
    print_table(console, ("samples", f"mean{unit}", _heading(record.test), "95 %, new samples"), rows)


def _heading(estimate: Estimate) -> str:
    return "95 %, these samples" if estimate.method is not None else "95 % (needs 2 seeds)"


def _ends(metric: Metric, low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{metric.number(low)} to {metric.number(high)}"
