"""`orchestrator sweep`: what it is given. Values stay text here; `orchestrator.fields` reads them."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_OUTPUT, SweepOptions


def sweep(
    seeds: Annotated[str | None, typer.Option(help="Seeds: 0-4, 0,3,7, or both mixed.  [default: 0-4]")] = None,
    learning_rates: Annotated[
        str | None, typer.Option(help="Learning rates, separated by commas.  [default: 0.003,0.01,0.03,0.1]")
    ] = None,
    epochs: Annotated[str | None, typer.Option(help="Passes over the training samples.  [default: 10]")] = None,
    hidden: Annotated[str | None, typer.Option(help="Widths of the two hidden layers.  [default: 128,64]")] = None,
    loss: Annotated[str | None, typer.Option(help="cross_entropy (default) or sum_of_squares.")] = None,
    rule: Annotated[str | None, typer.Option(help="backprop (default) or notebook.")] = None,
    engine: Annotated[str | None, typer.Option(help="compiled (default) or numpy.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 (default) or float64.")] = None,
    shuffle: Annotated[
        bool | None,
        typer.Option("--shuffle/--no-shuffle", help="Shuffle the samples in every epoch, or not (default)."),
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Train on the first so many samples only.")] = None,
    data: Annotated[
        str | None, typer.Option(help="bundled (default), openml, or a folder with the four IDX files.")
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(
            help="A TOML file with the words above, with _ for -, such as: learning_rates = [0.01, 0.03]. "
            "Flags override it."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The sweep's name.  [default: sweep-DATE-TIME]")] = None,
    output: Annotated[str, typer.Option(help="The folder in which sweeps are kept, a folder each.")] = DEFAULT_OUTPUT,
    broker: Annotated[
        str | None,
        typer.Option(help="A Redis server with workers.  [default: $CELERY_BROKER_URL, or an embedded cluster]"),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes of the embedded cluster.  [default: one per core]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep called --name.")] = False,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train anew what another sweep has trained already.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object when done, and nothing else.")] = False,
) -> int:
    """Train a network for every seed and learning rate, and show a leaderboard.

    Example: orchestrator sweep --seeds 0-4 --learning-rates 0.01,0.03 --epochs 10 --name night-run
    """
    words: dict[str, str | bool | None] = {
        "seeds": seeds,
        "learning_rates": learning_rates,
        "epochs": epochs,
        "hidden": hidden,
        "loss": loss,
        "rule": rule,
        "engine": engine,
        "dtype": dtype,
        "shuffle": shuffle,
        "limit": limit,
        "data": data,
    }
    from orchestrator.cli.sweep_command import run_sweep

    options = SweepOptions(spec, name, output, broker, workers, resume, not no_reuse, json)
    return run_sweep({word: value for word, value in words.items() if value is not None}, options)
