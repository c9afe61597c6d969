"""`orchestrator trainers`: lists the trainers that are installed here and on the workers."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.shared.output import print_json, print_table, say
from orchestrator.cli.shared.parameters import AsJson, Broker
from orchestrator.cli.shared.words import TypedWords
from orchestrator.cluster.connect import place_for
from orchestrator.commands.trainers import trainers
from orchestrator.text import counted


def command(
    broker: Broker = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="List the options that go together with this one; may be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List the trainers that are installed here and on the workers, with their options.

    Example: orchestrator trainers --set estimator=SGDClassifier
    """
    console = Console(stderr=as_json, highlight=False)
    cluster = place_for(broker, tell=lambda text: say(console, text)).reached().cluster
    found = trainers(cluster, TypedWords({}, fixed).given)
    if as_json:
        return print_json({"trainers": [asdict(each) for each in found]})
    for facts in found:
        if facts.ignored:
            theirs = ", ".join(facts.ignored)
            say(console, f"Ignored, because {facts.name} is one of Seedsweep's own trainers: {theirs}")
        if facts.problem is not None:
            say(console, f"{facts.name}: {facts.problem}")
        else:
            bits = "the same bits on every CPU" if facts.exact else "not the same bits on every CPU"
            say(console, f"{facts.name}, version {facts.version}: {facts.metric}; {bits}")
            say(console, f"Data set: {facts.data}")
            rows = [(each["name"], each["help"], each["allowed"]) for each in facts.options]
            print_table(console, ("option", "meaning", "allowed"), rows, spare=("allowed",), is_text=True)
        if cluster is not None:
            say(console, f"{counted(len(facts.workers), 'worker')} with it (orchestrator status shows all)")
        say(console, "")
    return 0
