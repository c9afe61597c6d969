"""`orchestrator claim`: writes the claim of a sweep, which `orchestrator verify-claim` checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.console import Console

from orchestrator.cli.shared.output import say
from orchestrator.cli.shared.parameters import AnySweep, file
from orchestrator.commands.claim import SIGNATURE, write_claim
from orchestrator.text import sized


def command(
    folder: AnySweep,
    to: Annotated[Path | None, file("FILE", "The file to write.  [default: claim.json in the sweep's folder]")] = None,
    sign: Annotated[
        Path | None, file("KEY", "Sign it by ssh-keygen with this key; the signature goes to FILE.sig.")
    ] = None,
) -> int:
    """Write a sweep's claim: a small file that states its verdict, and that anyone can check.

    It has the specification, the results, the SHA-256 of all files and the verdict, as an in-toto Statement. All jobs
    must have ended. An earlier claim is replaced, any other file is not.

    Example: orchestrator claim night-run --sign ~/.ssh/id_ed25519
    """
    written = write_claim(folder, to, sign)
    console = Console(highlight=False)
    say(console, f"Claimed: {written.sweep.leaderboard.verdict}")
    signed = "" if sign is None else f", signed in {written.path}{SIGNATURE}"
    say(console, f"Claim: {written.path} ({sized(written.bytes)}{signed})")
    say(console, f"To check it: orchestrator verify-claim {written.path}")
    return 0
