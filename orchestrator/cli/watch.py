"""`orchestrator watch` and `orchestrator cancel`: what they are given."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_OUTPUT

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The sweep's name.")]
_Output = Annotated[str, typer.Option(help="The folder in which sweeps are kept, a folder each.")]
_Broker = Annotated[
    str | None, typer.Option(help="The Redis server to which it was submitted.  [default: $CELERY_BROKER_URL]")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object when done, and nothing else.")]


def watch(name: _Name, broker: _Broker = None, output: _Output = DEFAULT_OUTPUT, json: _Json = False) -> int:
    """Follow a sweep on a cluster from any machine, and collect its results.

    Example: orchestrator watch night-run --broker redis://gpu-host:6379/0
    """
    from orchestrator.cli.watch_command import run_watch

    return run_watch(name, broker, output, as_json=json)


def cancel(name: _Name, broker: _Broker = None, output: _Output = DEFAULT_OUTPUT, json: _Json = False) -> int:
    """End a sweep's queued jobs at once, and running ones after their epoch.

    Jobs that another sweep on the cluster waits for go on. To train what was cancelled: sweep --resume --name NAME.

    Example: orchestrator cancel night-run --broker redis://gpu-host:6379/0
    """
    from orchestrator.cli.watch_command import run_cancel

    return run_cancel(name, broker, output, as_json=json)
