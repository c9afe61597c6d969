"""The portrait of a sweep's best model: what its trainer draws, and what a network confuses, mistakes and weighs.

Only this module of the report knows the trainer `network`.
"""

from __future__ import annotations

import base64
import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nn.errors import DatasetError, InvalidInputError, WeightsError, printable
from orchestrator.analysis import lookup
from orchestrator.analysis.lookup import TrainedJob
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import SweepNotFoundError
from orchestrator.report.contents.parts import DataTable, Fact, Picture
from orchestrator.report.contents.reproduce import shell
from orchestrator.text import counted
from worker.errors import TrainerUnusableError
from worker.job import Job
from worker.trainers.network import NetworkTrainer
from worker.trainers.protocol import Drawing

if TYPE_CHECKING:
    from nn.datasets.mnist import Dataset
    from orchestrator.analysis.evaluation import Evaluation, Mistake

#: How many mistakes, and how many nodes of the first hidden layer, are shown.
MOST_MISTAKES, MOST_NODES = 24, 128
#: How many rows of a trainer's table are shown.
MOST_ROWS = 200
#: The share of the weights that the colour scale covers.
WITHIN_SCALE = 0.995
#: Number of shades for mistakes.
SHADES = 5
#: Longest side of an image and of a mosaic's tile, in pixels; larger ones are shrunk.
MOST_PIXELS, MOST_TILE_PIXELS = 64, 32
#: RGB colours of positive and of negative numbers: they contrast with white as much as with black.
POSITIVE, NEGATIVE = (42, 127, 208), (217, 102, 10)
#: Steps of opacity from zero to the largest number.
STEPS = 8
_GAP = 2


@dataclass(frozen=True)
class Portrait:
    """The content of the section.

    Attributes:
        sentence: Which network it shows, or why it shows none.
        command: The command that gets it; empty if nothing is missing, or nothing helps.
        facts: How good the network is.
        found: Its evaluation on the validation samples, without the mistakes; None without a portrait.
        mistakes: The most confident mistakes, each with its image, its caption, and the image's alternative text.
        nodes: The weights of the first hidden layer as images, and how to read them; None if an input is not an image.
        drawings: What the trainer draws: the title of each, and its table or its picture.
    """

    sentence: str
    command: str = ""
    facts: Sequence[Fact] = ()
    found: Evaluation | None = None
    mistakes: Sequence[tuple[Picture, str, str]] = ()
    nodes: tuple[Picture, str] | None = None
    drawings: Sequence[tuple[str, DataTable | Picture]] = ()


def subject(sweep: Sweep) -> str | None:
    """Return the SHA-256 of the winner's weights; None if there is nothing to show.

    A portrait is valid until this changes.
    """
    job = next(iter(sweep.jobs.values()))
    if job.trainer != NetworkTrainer.name and not lookup.draws(job):
        return None
    try:
        return sweep.rows[lookup.best_job(sweep)].weights_sha256
    except SweepNotFoundError:
        return None


def without(sweep: Sweep) -> Portrait | None:
    """Return the section without a portrait, which costs nothing; None if there is nothing to show."""
    if subject(sweep) is None:
        return None
    return Portrait("The winner's model is shown in the sweep's report", shell("orchestrator", "report", sweep.name))


def content(sweep: Sweep, cache_dir: Path | None) -> Portrait | None:
    """Return the section; None if there is nothing to show.

    Reads the winner's weights and the data set, which is kept prepared in `cache_dir`, if that is not None.
    """
    sha256 = subject(sweep)
    if sha256 is None:
        return None
    from orchestrator.analysis.evaluation import data_of, evaluate

    job = sweep.jobs[lookup.best_job(sweep)]
    fault = sweep.folder.weights_fault(job, sha256)
    if fault is not None:
        return _without_weights(sweep, job, f"its weights {sha256[:12]} are {fault}")
    try:
        whose = f"The best seed of the first configuration ({sweep.names.job(job.seed, job.options)})"
        if job.trainer != NetworkTrainer.name:
            if cache_dir is None:
                return without(sweep)
            shown = [(each.title, _told(each)) for each in lookup.drawings(sweep, job, cache_dir)]
            return Portrait(whose, drawings=shown) if shown else None
        network = lookup.trained_job(sweep)
        dataset = data_of(sweep.manifest, job, cache_dir)
        found = evaluate(network, dataset)
        return Portrait(
            sentence=f"{whose}, on the validation samples",
            facts=_facts(network, dataset, found),
            # A bad network has thousands of mistakes, and the live server caches portraits.
            found=replace(found, mistakes=[]),
            mistakes=[_mistake(each, dataset) for each in found.mistakes[:MOST_MISTAKES]],
            nodes=_nodes(network),
        )
    except DatasetError:
        # The folder gives the data set's path: the reason why nothing is there would reveal local files.
        said = (
            f"The winner's model cannot be shown without its data set, {sweep.manifest.dataset[:12]}, "
            "which is not where the sweep's sweep.json says. Once it is there, write the report again"
        )
        return Portrait(said, shell("orchestrator", "report", sweep.name))
    except (WeightsError, InvalidInputError) as error:
        # The report must not reveal local paths.
        path = sweep.folder.weights_path(sha256)
        return Portrait(f"The winner's model cannot be shown: {str(error).replace(printable(str(path)), path.name)}")
    except TrainerUnusableError:
        # Its reason may reveal local files, too.
        return Portrait("The winner's model cannot be shown: its trainer failed")


def _without_weights(sweep: Sweep, job: Job, why: str) -> Portrait:
    """Return how to restore the weights: an exact trainer makes the same again."""
    said = f"The winner's model cannot be shown: {why}"
    if not job.is_current:
        return Portrait(said)
    again = shell("orchestrator", "weights", sweep.name, job.key[:12])
    return Portrait(f"{said}. This trains its job again, to the same bits", again)


# The portrait


def _told(drawing: Drawing) -> DataTable | Picture:
    if drawing.png is None:
        rows = [[str(cell) for cell in row] for row in drawing.rows]
        return DataTable.of(drawing.title, drawing.columns, rows, "row", MOST_ROWS)
    return _picture(drawing.png)


def _facts(job: TrainedJob, dataset: Dataset, found: Evaluation) -> list[Fact]:
    metric = job.job.metric
    right = f"{metric.shown(found.accuracy)} of {counted(len(dataset.validation), 'sample')}"
    mistakes = len(found.mistakes)
    wrong = f"{counted(mistakes, 'sample')}; below, the {min(mistakes, MOST_MISTAKES)} of which it was most sure"
    facts = [Fact("Right", right), Fact("Wrong", wrong if mistakes else "none")]
    told = job.row.validation_score[-1]
    if told != found.accuracy:
        facts.append(Fact("Against its row", f"The row says {metric.shown(told)}: one of them is not this network's"))
    return facts


def shades(found: Evaluation) -> list[list[int]]:
    """Return the shade of each cell of the confusion matrix: from 0 for none to `SHADES` for the most frequent mistake.

    Shades grow with the square root of the count, because few confusions are frequent. Right answers have shade 0.
    """
    wrong = found.confusion - np.diag(np.diag(found.confusion))
    # Python's integers and floats round alike on every machine.
    most = int(wrong.max())
    return [[math.ceil(SHADES * math.sqrt(int(each) / most)) if each else 0 for each in row] for row in wrong]


def _mistake(mistake: Mistake, dataset: Dataset) -> tuple[Picture, str, str]:
    pixels = np.rint(255 * dataset.validation.dense(mistake.index, np.dtype(np.float32))).astype(np.uint8)
    side = math.isqrt(len(pixels))
    sure = "not a number" if mistake.probability is None else percent(mistake.probability)
    described = f"a {mistake.true} that the network took for a {mistake.predicted}, {sure} sure"
    said = f"{mistake.true} as {mistake.predicted}, {sure}"
    return ink(pixels.reshape(side, side)), said, f"Image {mistake.image}: {described}"


def percent(probability: float) -> str:
    """Return a probability in percent; only certainty is 100 %."""
    if 0.9999 < probability < 1:
        return ">99.99 %"
    return f"{100 * probability:.{1 if probability < 0.99 else 2}f} %"


def _nodes(job: TrainedJob) -> tuple[Picture, str] | None:
    """Return the first-layer weights as images, and their caption; None if the input is not square."""
    weights = job.weights.W1
    side = math.isqrt(weights.shape[1])
    if side * side != weights.shape[1] or not np.isfinite(weights).all():
        return None
    limit = float(np.quantile(np.abs(weights), WITHIN_SCALE))
    shown = weights[:MOST_NODES]
    which = f"the first {len(shown)} of {len(weights)} nodes" if len(shown) < len(weights) else f"{len(weights)} nodes"
    caption = (
        f"First-layer weights of {which}, each as an image of the input. Blue: ink here raises the node's input; "
        f"orange: ink here lowers it; the fuller the colour, the more, up to a weight of {limit:.2g}"
    )
    return mosaic(shown, limit or 1.0), caption


# Arrays as PNG images: equal arrays give equal bytes


def ink(image: NDArray[np.uint8]) -> Picture:
    """Return a square image as dark ink on white paper.

    Args:
        image: uint8, shape (side, side): 0 for paper up to 255 for ink.
    """
    side = min(len(image), MOST_PIXELS)
    return _saved(Image.fromarray(255 - image).resize((side, side), Image.Resampling.BOX))


def mosaic(rows: NDArray[np.floating], limit: float) -> Picture:
    """Return rows of numbers as square tiles side by side, for any background: zero is transparent.

    Positive and negative numbers have a colour each, which colour-blind readers can tell apart (Okabe and Ito). The
    larger the number, the more opaque its colour.

    Args:
        rows: Finite, shape (n, side * side).
        limit: The absolute value from which a colour is opaque; above zero.
    """
    whole = math.isqrt(rows.shape[1])
    side = min(whole, MOST_TILE_PIXELS)
    columns = math.ceil(math.sqrt(2 * len(rows)))
    lines = math.ceil(len(rows) / columns)
    field = np.zeros((lines * (side + _GAP) - _GAP, columns * (side + _GAP) - _GAP), np.int64)
    for place, row in enumerate(rows):
        top, left = (side + _GAP) * (place // columns), (side + _GAP) * (place % columns)
        image = Image.fromarray(row.reshape(whole, whole).astype(np.float32))
        tile = np.asarray(image.resize((side, side), Image.Resampling.BOX))
        field[top : top + side, left : left + side] = np.rint(np.clip(tile / limit, -1, 1) * STEPS)
    # In the palette, the negative steps follow the positive ones.
    made = Image.fromarray(np.where(field < 0, STEPS - field, field).astype(np.uint8)).convert("P")
    made.putpalette([*NEGATIVE, *(STEPS * POSITIVE), *(STEPS * NEGATIVE)])
    opacity = [round(255 * step / STEPS) for step in range(STEPS + 1)]
    return _saved(made, transparency=bytes([*opacity, *opacity[1:]]))


def _saved(image: Image.Image, **options: bytes) -> Picture:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return _picture(file.getvalue())


def _picture(png: bytes) -> Picture:
    # A PNG file begins with its size.
    width, height = struct.unpack(">II", png[16:24])
    return Picture(f"data:image/png;base64,{base64.b64encode(png).decode()}", width, height)
