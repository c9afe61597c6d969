"""Commands that prepare a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.commands.parameters import Json
from orchestrator.cli.words.options import DEFAULT_SPECIFICATION


def init(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write.")] = DEFAULT_SPECIFICATION,
    trainer: Annotated[
        str | None, typer.Option(help="Trainer, of those that are installed.  [default: network]")
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Fix an option of the trainer; may be repeated."),
    ] = None,
    json: Json = False,
) -> int:
    """Write a specification file that lists every option of a sweep, with comments.

    The file means what orchestrator sweep with the same --trainer and --set means. An existing file is not overwritten.

    Example: orchestrator init sweep.toml --trainer sklearn --set estimator=SGDClassifier
    """
    from orchestrator.cli.sweep import run_init

    return run_init(file, trainer, fixed or (), as_json=json)


def trainers(
    broker: Annotated[
        str | None, typer.Option(help="Also ask the workers of this Redis server.  [default: $CELERY_BROKER_URL]")
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="List the options that go together with this one; may be repeated."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """List the trainers that are installed here and on the workers, with their options.

    Example: orchestrator trainers --set estimator=SGDClassifier
    """
    from orchestrator.cli.trainers import run_trainers

    return run_trainers(broker, fixed or (), as_json=json)
