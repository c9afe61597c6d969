"""`orchestrator verify-claim`: checks the claim of a sweep, and says what refutes it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nn.options.network import MAX_SEED
from orchestrator.cli.shared.outcome import interruptible
from orchestrator.cli.shared.output import print_json, say
from orchestrator.cli.shared.parameters import AsJson, file, integer, path
from orchestrator.commands.claim import verify_claim


def command(
    claim: Annotated[
        Path,
        typer.Argument(parser=path("the path of a claim"), metavar="CLAIM", help="The claim's file, or its folder."),
    ],
    folder: Annotated[
        Path | None,
        file("FOLDER|ZIP", "The sweep's folder, or a ZIP file of it.  [default: the folder of CLAIM]"),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Do without the folder: train every job again.")] = False,
    jobs: Annotated[
        int | None, integer(1, MAX_SEED, "Number of jobs to train, chosen at random.  [default: 5; --rebuild: all]")
    ] = None,
    seed: Annotated[
        int | None, integer(0, MAX_SEED, "Chooses the jobs: the same seed, the same jobs.  [default: random]")
    ] = None,
    signers: Annotated[
        Path | None, file("FILE", "The keys of which one must have signed CLAIM.sig: allowed_signers of ssh-keygen.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="The data set here.  [default: the claim's, if it is built in, else SEEDSWEEP_DATA]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check a claim: its signature, its files, its verdict, and jobs that are trained again.

    Neither the claim nor the folder is trusted, and nothing in them is executed: the trainer is the one that is
    installed here. The folder is only read. --json prints an in-toto test result.

    Exit status: 0 if the claim holds, 1 if it is refuted, 2 if it cannot be checked.

    Example: orchestrator verify-claim claim.json --folder night-run.zip --jobs 59
    """
    console = Console(stderr=as_json, highlight=False)
    with interruptible() as interruption:
        result = verify_claim(
            claim,
            folder=folder,
            rebuild=rebuild,
            jobs=jobs,
            seed=seed,
            signers=signers,
            data=data,
            tell=partial(say, console),
            interruption=interruption,
        )
    for outcome in ("passed", "warned"):
        for test, sentence in getattr(result, outcome).items():
            say(console, f"{test} {outcome}: {sentence}")
    say(console, result.sentence, style=None if result.holds else "bold red")
    if as_json:
        print_json(result.statement())
    return 0 if result.holds else 1
