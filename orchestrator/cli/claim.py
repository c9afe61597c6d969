"""`orchestrator claim` and `verify-claim`: write the claim of a sweep, check one, and say what refutes it."""

import os
import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nn.options.network import MAX_SEED
from orchestrator.cli.shared.output import print_json, say
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AnySweep, AsJson, file, integer, path
from orchestrator.cluster.connect import place_for
from orchestrator.commands import claim as claiming
from orchestrator.folder.sweeps import open_sweep
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import sized


def command(
    folder: AnySweep,
    to: Annotated[Path | None, file("FILE", "The file to write.  [default: claim.json in the sweep's folder]")] = None,
    sign: Annotated[
        Path | None, file("KEY", "Sign it by ssh-keygen with this key; the signature goes to FILE.sig.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Write a sweep's claim: a small file that states its verdict, and that anyone can check.

    It has the specification, the results, the SHA-256 of all files and the verdict, as an in-toto Statement. All jobs
    must have ended. An earlier claim is replaced, any other file is not.

    Example: orchestrator claim night-run --sign ~/.ssh/id_ed25519
    """
    written = claiming.write_claim(folder, to, sign)
    verdict, signature = str(written.sweep.leaderboard.verdict), sign and f"{written.path}{claiming.SIGNATURE}"
    if as_json:
        found = {"name": written.sweep.name, "path": str(written.path), "bytes": written.bytes}
        return print_json(found | {"verdict": verdict, "signature": signature})
    console = Console(highlight=False)
    say(console, f"Claimed: {verdict}")
    signed = f", signed in {signature}" if signature else ""
    say(console, f"Claim: {written.path} ({sized(written.bytes)}{signed})")
    beside = [] if to is None else ["--folder", str(folder.path)]
    say(console, f"To check it: {shlex.join(['orchestrator', 'verify-claim', str(written.path), *beside])}")
    return 0


def verify_claim(
    claim: Annotated[
        Path,
        typer.Argument(
            parser=path("the path of a claim"), metavar="CLAIM", help="The claim's file, its folder, or a sweep's name."
        ),
    ],
    folder: Annotated[
        Path | None, file("FOLDER|ZIP", "The sweep's folder, or a ZIP file of it.  [default: the folder of CLAIM]")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Do without the folder: train every job again.")] = False,
    jobs: Annotated[
        int | None, integer(1, MAX_JOBS, "Number of jobs to train, chosen at random.  [default: 5; --rebuild: all]")
    ] = None,
    seed: Annotated[
        int | None, integer(0, MAX_SEED, "Chooses the jobs: the same seed, the same jobs.  [default: random]")
    ] = None,
    signers: Annotated[
        Path | None,
        file("FILE", "A list of keys, as allowed_signers of ssh-keygen; one of them must have signed CLAIM.sig."),
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

    Exit status: 0 if the claim holds, 1 if it is refuted, 2 if it cannot be checked, for example because
    the sweep was extended since.

    Example: orchestrator verify-claim claim.json --folder night-run.zip --jobs 59
    """
    console = Console(stderr=as_json, highlight=False)
    # Any other word names a sweep.
    if claim.suffix != ".json" and not os.path.lexists(claim):
        claim = open_sweep(str(claim), DEFAULT_OUTPUT).path
    place = place_for(None, tell=partial(say, console))
    with place.interruption.handling():
        result = claiming.verify_claim(
            claim, place, folder=folder, rebuild=rebuild, jobs=jobs, seed=seed, signers=signers, data=data
        )
    for outcome in ("passed", "warned"):
        for test, sentence in getattr(result, outcome).items():
            say(console, f"{test} {outcome}: {sentence}")
    say(console, result.sentence, style=None if result.holds else "bold red")
    if as_json:
        print_json(result.statement())
    return 0 if result.holds else 1
