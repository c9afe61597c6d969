"""`orchestrator trainers`: reads its arguments, calls the command, shows its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console

from nn.errors import InvalidInputError
from orchestrator.cli.output import print_table, say
from orchestrator.cli.words.arguments import settings_for
from orchestrator.cluster.connect import connect
from orchestrator.commands.trainers import TrainerFacts, trainers
from orchestrator.text import counted


def run_trainers(broker: str | None, fixed: Sequence[str], *, as_json: bool) -> int:
    """Print the trainers, and return the exit status.

    Raises:
        SeedsweepError: bad input, or the cluster does not answer.
    """
    settings = settings_for(broker)
    console = Console(stderr=as_json, highlight=False)
    cluster = None if settings.broker_url is None else connect(settings, lambda text: say(console, text))
    found = trainers(cluster, _pairs(fixed))
    if as_json:
        print(json.dumps({"trainers": [asdict(each) for each in found]}))
        return 0
    for each in found:
        _print(console, each, on_cluster=cluster is not None)
    return 0


def _pairs(fixed: Sequence[str]) -> dict[str, str]:
    """Return what was typed after each `--set`, by name."""
    found = {}
    for pair in fixed:
        name, equals, value = pair.partition("=")
        if not (equals and name and value):
            raise InvalidInputError("--set", pair, "NAME=VALUE")
        found[name.replace("-", "_")] = value
    return found


def _print(console: Console, facts: TrainerFacts, *, on_cluster: bool) -> None:
    if facts.problem is not None:
        say(console, f"{facts.name}: {facts.problem}")
    else:
        bits = "the same bits on every CPU" if facts.exact else "not the same bits on every CPU"
        say(console, f"{facts.name}, version {facts.version}: {facts.metric}; {bits}")
        say(console, f"Data set: {facts.data}")
        rows = [(option.name, option.help, option.allowed) for option in facts.options]
        print_table(console, ("option", "meaning", "allowed"), rows, spare=("allowed",), is_text=True)
    if on_cluster:
        names = "; ".join(
            f"{name} (version {' and '.join(map(str, versions))}, data set {str(dataset)[:12]})"
            for name, versions, dataset in facts.workers
        )
        say(console, f"{counted(len(facts.workers), 'worker')}{': ' + names if names else ''}")
    say(console, "")
