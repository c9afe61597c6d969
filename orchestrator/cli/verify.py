"""`orchestrator verify`: what it is given."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_OUTPUT


def verify(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep's name.")],
    jobs: Annotated[str | None, typer.Option(help="How many jobs, chosen at random.  [default: 5]")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every job that has a result.")] = False,
    seed: Annotated[
        str | None, typer.Option(help="Choose the same jobs as under this seed before.  [default: a new one]")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(help="A Redis server with workers.  [default: $CELERY_BROKER_URL, or an embedded cluster]"),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes of the embedded cluster.  [default: one per core]")
    ] = None,
    output: Annotated[str, typer.Option(help="The folder in which sweeps are kept, a folder each.")] = DEFAULT_OUTPUT,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object when done, and nothing else.")] = False,
) -> int:
    """Train a sweep's jobs again, and compare weights and accuracies to the bit.

    The weights files that the sweep keeps are compared, too: a missing or damaged one is a difference.

    Exit status: 0 if all is equal, 1 if anything is not.

    Example: orchestrator verify night-run --jobs 3
    """
    from orchestrator.cli.verify_command import Options, run_verify

    return run_verify(name, Options(jobs, every, seed, broker, workers, output, json))
