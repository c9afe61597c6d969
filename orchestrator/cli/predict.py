"""`orchestrator predict`: says which digit a picture shows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.analysis.evaluation import probabilities
from orchestrator.analysis.lookup import trained_job
from orchestrator.analysis.picture import ASCII_BLOCKS, BLOCKS, as_text, read_picture
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.jobs import identity, percent, title
from orchestrator.cli.shared.output import knows_blocks, print_json, say
from orchestrator.cli.shared.parameters import AnySweep, AsJson, BestJob, path
from orchestrator.errors import PictureError


def command(
    image: Annotated[
        Path,
        typer.Option(
            parser=path("the path of a picture"),
            metavar="FILE",
            help="A picture of one digit, 28x28 pixels or larger, dark on light or light on dark.",
        ),
    ],
    folder: AnySweep,
    words: BestJob = None,
    as_json: AsJson = False,
) -> int:
    """Say which digit a picture shows.

    Example: orchestrator predict night-run seed=3 learning_rate=0.01 --image digit.png
    """
    try:
        picture = read_picture(image)
    except PictureError as error:
        raise PictureError(f"--image: {error}") from None
    network = trained_job(Sweep.read(folder), words or ())
    # The probabilities of a network that diverged are not finite.
    found = [float(p) if math.isfinite(p) else None for p in probabilities(network.weights, picture)]
    ranked = sorted(range(len(found)), key=lambda digit: -(found[digit] or 0.0))
    if as_json:
        answer = {"image": str(image), "prediction": ranked[0], "probabilities": found}
        print_json(identity(network) | answer)
        return 0
    shown = [f"{digit} ({percent(found[digit])})" for digit in ranked[:3]]
    console = Console()
    say(console, as_text(picture, BLOCKS if knows_blocks(console) else ASCII_BLOCKS))
    say(console, f"{image} reads as {shown[0]}; next {' and '.join(shown[1:])}")
    say(console, f"Asked: {title(network)}")
    return 0
