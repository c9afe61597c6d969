"""The portrait of a sweep's best network: what it takes for what, its worst mistakes, and what its nodes look for.

Only this module of the report knows the trainer `network`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nn.errors import DatasetError, WeightsError
from orchestrator.analysis import lookup
from orchestrator.analysis.lookup import TrainedJob
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row
from orchestrator.report.contents import commands
from orchestrator.report.contents.parts import Fact
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.trainers.network import NetworkTrainer

if TYPE_CHECKING:
    from nn.datasets.mnist import Dataset
    from orchestrator.analysis.evaluation import Evaluation, Mistake
    from orchestrator.report.images import Picture

#: How many mistakes, and how many nodes of the first hidden layer, are shown.
MOST_MISTAKES, MOST_NODES = 24, 128
#: The share of the weights that are within the scale of colours.
WITHIN_SCALE = 0.995
#: How many shades a number of mistakes may have.
SHADES = 5


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix.

    Attributes:
        count: The number of images.
        is_right: Whether they are classified correctly.
        shade: From 0, for none, to `SHADES`, for the largest number of mistakes of a cell.
    """

    count: int
    is_right: bool
    shade: int


@dataclass(frozen=True)
class ConfusionRow:
    """The images of one class.

    Attributes:
        true: The class.
        cells: How many of them were taken for each class.
        share: The share that is classified correctly, as text.
    """

    true: int
    cells: Sequence[Cell]
    share: str


@dataclass(frozen=True)
class MistakePicture:
    """A misclassified image.

    Attributes:
        picture: The image.
        said: What the network said, and how sure it was.
        described: The same for those who do not see the image.
    """

    picture: Picture
    said: str
    described: str


@dataclass(frozen=True)
class NetworkContent:
    """What the section says.

    Attributes:
        sentence: Whose portrait it is, or why there is none.
        command: What one types to get it; empty if nothing is missing, or nothing helps.
        facts: How good the network is.
        confusion: A row for each class; empty without a portrait.
        mistakes: The mistakes of which the network was most sure.
        nodes: The weights of the first hidden layer as images, and what is to be said of them.
        nodes_caption: How to read them; empty without them.
    """

    sentence: str
    command: str = ""
    facts: Sequence[Fact] = ()
    confusion: Sequence[ConfusionRow] = ()
    mistakes: Sequence[MistakePicture] = ()
    nodes: Picture | None = None
    nodes_caption: str = ""


def subject(sweep: Sweep) -> str | None:
    """Return what decides a sweep's portrait: the SHA-256 of the winner's weights; None if there is nothing to show.

    Whoever renders a sweep again and again may keep the content until this changes.
    """
    row = _winner(sweep)
    return None if row is None else row.weights_sha256


def _winner(sweep: Sweep) -> Row | None:
    """Return the row of the best job of the first configuration, as `lookup.trained_job` chooses it without words.

    The leaderboard has done the work: to rank 10,000 jobs once more would take longer than to look at the network.
    """
    standings = sweep.leaderboard.standings
    if sweep.manifest.specification.trainer != NetworkTrainer.name or not standings:
        return None
    first = standings[0]
    chosen = first.best_seed
    if chosen is None:
        chosen = next((entry.seed for entry in first.jobs if entry.score is not None), None)
    for key, row in sweep.rows.items():
        options = sweep.jobs[key].options
        if row.seed == chosen and row.accepted and all(getattr(options, n) == v for n, v in first.options.items()):
            return row
    return None


def without(sweep: Sweep) -> NetworkContent:
    """Return what the section says where nobody has looked at the winner's network: at no cost."""
    if subject(sweep) is None:
        return _nothing(sweep)
    return NetworkContent("The winner's network is shown in the sweep's report", _report(sweep))


def content(sweep: Sweep, cache_dir: Path | None) -> NetworkContent:
    """Return what the section says. Reads the winner's weights and the data set, and predicts the validation samples.

    Args:
        sweep: The sweep.
        cache_dir: Where prepared data sets are kept; None to keep none.
    """
    row = _winner(sweep)
    if row is None:
        return _nothing(sweep)
    from orchestrator.analysis.evaluation import data_of, evaluate_on

    sha256 = str(row.weights_sha256)
    fault = sweep.folder.weights_fault(sha256)
    if fault is not None:
        return _without_weights(sweep, f"its weights {sha256[:12]} are {fault}")
    try:
        job = lookup.with_weights(sweep.folder, sweep.manifest, sweep.jobs[row.job], row)
        dataset = data_of(sweep.manifest, cache_dir)
        return _portrait(sweep, job, dataset, evaluate_on(job, dataset))
    except DatasetError:
        # Where the data set should be is the folder's word: why it is not there would tell of this machine's files.
        said = (
            f"The winner's network cannot be shown without its data set, {sweep.manifest.dataset[:12]}, "
            "which is not where the sweep's sweep.json says. Once it is there, write the report again"
        )
        return NetworkContent(said, _report(sweep))
    except WeightsError as error:
        # Where the folder is on this machine is nobody's business.
        path = sweep.folder.weights_path(sha256)
        return NetworkContent(f"The winner's network cannot be shown: {str(error).replace(str(path), path.name)}")


def _nothing(sweep: Sweep) -> NetworkContent:
    trainer = sweep.manifest.specification.trainer
    if trainer != NetworkTrainer.name:
        of = f"only models of the trainer {NetworkTrainer.name} have one, and this sweep's is {trainer}"
        return NetworkContent(f"There is no portrait: {of}")
    return NetworkContent("There is no portrait, because no job has a result")


def _report(sweep: Sweep) -> str:
    return commands.shell("orchestrator", "report", sweep.folder.name)


def _without_weights(sweep: Sweep, why: str) -> NetworkContent:
    """Return how to get the weights: an exact trainer makes the same ones again."""
    said = f"The winner's network cannot be shown: {why}"
    if not all(job.is_current for job in sweep.jobs.values()):
        return NetworkContent(said)
    missing = _missing_weights(sweep)
    which = (
        f"This trains {counted(missing, 'job')} whose weights are missing again, to the same bits" if missing else ""
    )
    return NetworkContent(
        f"{said}. {which}".strip(". "),
        commands.shell("orchestrator", "sweep", "--resume", "--name", sweep.folder.name),
    )


def _missing_weights(sweep: Sweep) -> int:
    """Return how many rows have no weights file; the content of files is not read."""
    hashes = (row.weights_sha256 for row in sweep.rows.values())
    return sum(not os.path.lexists(sweep.folder.weights_path(sha256)) for sha256 in hashes if sha256 is not None)


# The portrait


def _portrait(sweep: Sweep, job: TrainedJob, dataset: Dataset, found: Evaluation) -> NetworkContent:
    name = JobNames(sweep.jobs.values(), sweep.manifest.axes).job(job.job.seed, job.job.options)
    nodes, caption = _nodes(job)
    return NetworkContent(
        sentence=f"The best seed of the first configuration ({name}), on the validation samples",
        facts=_facts(job, dataset, found),
        confusion=_confusion(found),
        mistakes=[_mistake(each, dataset) for each in found.mistakes[:MOST_MISTAKES]],
        nodes=nodes,
        nodes_caption=caption,
    )


def _facts(job: TrainedJob, dataset: Dataset, found: Evaluation) -> list[Fact]:
    metric = job.job.metric
    right = f"{metric.shown(found.accuracy)} of {counted(len(dataset.validation), 'sample')}"
    facts = [Fact("Right", right), Fact("Wrong", _wrong(found))]
    told = job.row.validation_score[-1]
    if told != found.accuracy:
        facts.append(
            Fact("Against its row", f"The row says {metric.shown(told)}: one of the two is not this network's")
        )
    return facts


def _wrong(found: Evaluation) -> str:
    if not found.mistakes:
        return "none"
    shown = min(len(found.mistakes), MOST_MISTAKES)
    return f"{counted(len(found.mistakes), 'sample')}; below, the {shown} of which it was most sure"


def _confusion(found: Evaluation) -> list[ConfusionRow]:
    classes = range(len(found.confusion))
    most = max((int(found.confusion[i][j]) for i in classes for j in classes if i != j), default=0)
    return [
        ConfusionRow(
            true=true,
            cells=[
                Cell(count, is_right=true == said, shade=0 if true == said else _shade(count, most))
                for said, count in enumerate(map(int, found.confusion[true]))
            ],
            share="-" if share is None else f"{100 * share:.1f} %",
        )
        for true, share in zip(classes, found.class_accuracy, strict=True)
    ]


def _shade(count: int, most: int) -> int:
    """Return the shade of a number of mistakes: by its square root, because few confusions are frequent."""
    return math.ceil(SHADES * math.sqrt(count / most)) if count else 0


def _mistake(mistake: Mistake, dataset: Dataset) -> MistakePicture:
    import numpy as np

    from orchestrator.report.images import ink

    pixels = np.rint(255 * dataset.validation.dense(mistake.index, np.dtype(np.float32))).astype(np.uint8)
    side = math.isqrt(len(pixels))
    sure = "not a number" if mistake.probability is None else percent(mistake.probability)
    described = f"a {mistake.true} that the network took for a {mistake.predicted}, {sure} sure"
    return MistakePicture(
        ink(pixels.reshape(side, side)),
        said=f"{mistake.true} as {mistake.predicted}, {sure}",
        described=f"Image {mistake.image}: {described}",
    )


def percent(probability: float) -> str:
    """Return a probability as text, in which only a certain one is 100 %."""
    if 0.9999 < probability < 1:
        return ">99.99 %"
    return f"{100 * probability:.{1 if probability < 0.99 else 2}f} %"


def _nodes(job: TrainedJob) -> tuple[Picture | None, str]:
    """Return the first layer's weights as images, if an input is a square, and how to read them."""
    import numpy as np

    from orchestrator.report.images import mosaic

    weights = job.weights.W1
    side = math.isqrt(weights.shape[1])
    if side * side != weights.shape[1] or not np.isfinite(weights).all():
        return None, ""
    limit = float(np.quantile(np.abs(weights), WITHIN_SCALE))
    shown = weights[:MOST_NODES]
    which = f"the first {len(shown)} of {len(weights)} nodes" if len(shown) < len(weights) else f"{len(weights)} nodes"
    caption = (
        f"First-layer weights of {which}, each as an image of the input. Blue: ink here raises the node's input; "
        f"orange: ink here lowers it; the fuller the colour, the more, up to a weight of {limit:.2g}"
    )
    return mosaic(shown, limit or 1.0), caption
