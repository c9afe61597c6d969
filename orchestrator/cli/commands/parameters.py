"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

SweepName = Annotated[str, typer.Argument(metavar="NAME", help="The sweep's name.")]
Output = Annotated[str, typer.Option(help="The folder that holds the sweeps, one folder for each.")]
Broker = Annotated[
    str | None, typer.Option(help="The Redis server that the sweep runs on.  [default: $CELERY_BROKER_URL]")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, instead of tables.")]
JOB = (
    "NAME=VALUE, where NAME is seed or an option; a seed; SEED:LEARNING_RATE; or the first digits of a job's key. "
    "Several words must all fit."
)
BrokerOrOwn = Annotated[
    str | None,
    typer.Option(help="A Redis server with workers.  [default: $CELERY_BROKER_URL, or an embedded cluster]"),
]
Workers = Annotated[str | None, typer.Option(help="Processes of the embedded cluster.  [default: one per core]")]
SweepOrFolder = Annotated[
    str, typer.Argument(metavar="SWEEP", help="A sweep's folder, or its name in the folder runs.")
]
