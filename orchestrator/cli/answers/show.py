"""`orchestrator show` and `orchestrator predict`: read their arguments, call the command, show its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from nn.errors import InvalidInputError
from orchestrator.analysis.evaluation import Evaluation, Mistake
from orchestrator.analysis.lookup import TrainedJob, open_sweep
from orchestrator.analysis.picture import ASCII_BLOCKS, BLOCKS, as_text
from orchestrator.cli.output import knows_blocks, print_table, say
from orchestrator.cli.words.options import DEFAULT_OUTPUT
from orchestrator.commands.answers.show import predict, show
from orchestrator.errors import PictureError
from orchestrator.folder.rows import Row
from orchestrator.text import counted
from worker.settings import load_settings
from worker.trainers.network import NOTEBOOK_ACCURACY

#: The number of mistakes that are listed.
MISTAKES = 10
#: The most lines and columns that the bars of a learning curve take.
CURVE_LINES = 20
CURVE_WIDTH = 50


def run_predict(sweep: str, image: str, words: Sequence[str], job: str | None, *, as_json: bool) -> int:
    """Print the digit that a job's network sees in a picture, and return the exit status.

    Raises:
        SeedsweepError: the sweep, the job, its weights or the picture cannot be used.
    """
    # An empty path would be the current folder.
    if not image:
        raise InvalidInputError("--image", image, "the path of a picture")
    folder = open_sweep(sweep, Path(DEFAULT_OUTPUT))
    # An empty text names no job, and not the best one.
    also = [] if job is None else job.split() or [job]
    try:
        found = predict(folder, Path(image), [*words, *also])
    except PictureError as error:
        raise PictureError(f"--image: {error}") from None
    if as_json:
        answer = {"image": image, "prediction": found.ranked[0], "probabilities": list(found.probabilities)}
        _print_json(_identity(found.trained) | answer)
        return 0
    shown = [f"{digit} ({_percent(found.probabilities[digit])})" for digit in found.ranked[:3]]
    console = Console()
    say(console, as_text(found.picture, BLOCKS if knows_blocks(console) else ASCII_BLOCKS))
    say(console, f"{image} reads as {shown[0]}; next {' and '.join(shown[1:])}")
    say(console, f"Asked: {title(found.trained)}")
    return 0


def run_show(sweep: str, words: Sequence[str], *, as_json: bool) -> int:
    """Print a job's learning curve, confusion matrix and mistakes, and return the exit status.

    Raises:
        SeedsweepError: the sweep, the job, its weights or its data set cannot be used.
    """
    view = show(open_sweep(sweep, Path(DEFAULT_OUTPUT)), words, cache_dir=load_settings().cache_dir)
    network, evaluation = view.trained, view.evaluation
    if as_json:
        _print_json(_identity(network) | _as_dict(network.row, evaluation))
        return 0
    console = Console()
    say(console, title(network))
    say(console, f"\n{curve_heading(network.row)}")
    say(console, learning_curve(network.row, "█" if knows_blocks(console) else "#"))
    say(console, "Confusion matrix: true class by row, prediction by column")
    _print_confusion(console, evaluation)
    say(console, f"The most confident of {counted(len(evaluation.mistakes), 'mistake')}")
    _print_mistakes(console, evaluation.mistakes)
    return 0


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, allow_nan=False))


def _identity(network: TrainedJob) -> dict[str, Any]:
    row = network.row
    return {
        "sweep": network.manifest.name,
        "job": row.job,
        "seed": row.seed,
        "options": row.options.model_dump(),
        "status": row.status,
        "weights_sha256": row.weights_sha256,
    }


def _as_dict(row: Row, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "validation_score": row.validation_score,
        "others": row.others,
        "accuracy": evaluation.accuracy,
        "class_accuracy": evaluation.class_accuracy,
        "confusion_matrix": evaluation.confusion.tolist(),
        "mistakes": [asdict(mistake) for mistake in evaluation.mistakes[:MISTAKES]],
    }


def title(network: TrainedJob) -> str:
    """Return one line that identifies a job and gives its validation accuracy."""
    row = network.row
    accuracy = percent(row.validation_score[-1])
    diverged = f"; diverged ({row.error})" if row.status == "diverged" else ""
    words = network.job.words(network.manifest.axes)
    return f"job {row.job[:12]} of {network.manifest.name}: {words}; validation accuracy {accuracy}{diverged}"


def percent(share: float) -> str:
    """Return a share in percent, with two decimals: 97.31 %."""
    return f"{100 * share:.2f} %"


def _percent(share: float | None) -> str:
    return "-" if share is None else percent(share)


def curve_heading(row: Row) -> str:
    """Return what the learning curve shows, with the accuracies at which its bars begin and end."""
    begin, end = _axis(row)
    printed = "" if NOTEBOOK_ACCURACY not in row.others else ", then what the notebook would have printed"
    return (
        f"Learning curve: validation accuracy after each epoch{printed}\n"
        f"(the bars begin at {percent(begin)} and end at {percent(end)})"
    )


def _axis(row: Row) -> tuple[float, float]:
    """Return the accuracies of an empty and a full bar: the lowest and the highest, or 0 and 1 if all are equal."""
    low, high = min(row.validation_score), max(row.validation_score)
    return (low, high) if high > low else (0.0, 1.0)


def learning_curve(row: Row, block: str = "█") -> str:
    """Return a line with a bar for each epoch; of more than `CURVE_LINES` epochs, for evenly spaced ones."""
    accuracies, notebook = row.validation_score, row.others.get(NOTEBOOK_ACCURACY)
    begin, end = _axis(row)
    count = min(len(accuracies), CURVE_LINES)
    chosen = sorted({round(i * (len(accuracies) - 1) / max(count - 1, 1)) for i in range(count)})
    lines = []
    for i in chosen:
        share = (accuracies[i] - begin) / (end - begin)
        bar = block * (1 + round(share * (CURVE_WIDTH - 1)))
        printed = f" {notebook[i]:>7.3f}" if notebook else ""
        lines.append(f"{i + 1:>6} {percent(accuracies[i]):>8}{printed} {bar}")
    return "\n".join(lines) + "\n"


def _print_confusion(console: Console, evaluation: Evaluation) -> None:
    classes = range(len(evaluation.confusion))
    none = "·" if knows_blocks(console) else "."
    rows = [
        (str(label), *(str(count) if count else none for count in counts), _percent(share))
        for label, counts, share in zip(classes, evaluation.confusion, evaluation.class_accuracy, strict=True)
    ]
    headings = ("", *map(str, classes), "right")
    print_table(console, headings, rows, spare=("right",), padding=(0, 1, 0, 0))


def _print_mistakes(console: Console, mistakes: list[Mistake]) -> None:
    headings = ("validation index", "image of the data set", "true", "predicted", "probability")
    rows = [
        (*map(str, (mistake.index, mistake.image, mistake.true, mistake.predicted)), _percent(mistake.probability))
        for mistake in mistakes[:MISTAKES]
    ]
    print_table(console, headings, rows, spare=("validation index", "probability"))
