"""`orchestrator predict` and `orchestrator show`: what they are given."""

from __future__ import annotations

from typing import Annotated

import typer

_Run = Annotated[str, typer.Argument(metavar="RUN", help="A sweep's folder, or its name in the folder runs.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]


def predict(
    run: _Run,
    image: Annotated[
        str, typer.Option(help="A picture of one digit, 28x28 pixels or larger, dark on light or light on dark.")
    ],
    job: Annotated[
        str | None,
        typer.Option(help="A job's key (its first digits), or SEED:LEARNING_RATE.  [default: the leaderboard's best]"),
    ] = None,
    json: _Json = False,
) -> int:
    """Say which digit a picture shows.

    Example: orchestrator predict night-run --image digit.png
    """
    from orchestrator.cli.inspection_command import run_predict

    return run_predict(run, image, job, as_json=json)


def show(
    run: _Run,
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job's key (its first digits), or SEED:LEARNING_RATE.")],
    json: _Json = False,
) -> int:
    """Show what a job learned, and its mistakes.

    Example: orchestrator show night-run 3:0.01
    """
    from orchestrator.cli.inspection_command import run_show

    return run_show(run, job, as_json=json)
