"""`orchestrator predict` and `orchestrator show`: from what they are given to what they print."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.options import DEFAULT_OUTPUT
from orchestrator.inspection import Evaluation, Mistake, Trained, evaluate, open_run, probabilities, trained
from orchestrator.picture import as_text, read_picture
from orchestrator.progress import percent
from orchestrator.rows import Row
from worker.settings import load_settings

#: How many mistakes are listed, and how many lines the learning curve takes at most.
MISTAKES = 10
CURVE_LINES = 20
CURVE_WIDTH = 50


def run_predict(run: str, image: str, job: str | None, *, as_json: bool) -> int:
    """Print what a network of a sweep sees in a picture, and return the exit status.

    Raises:
        SeedsweepError: the sweep, the job, its weights or the picture cannot be used.
    """
    picture = read_picture(Path(image))
    network = trained(open_run(run, Path(DEFAULT_OUTPUT)), job)
    given = [float(p) if math.isfinite(p) else None for p in probabilities(network.weights, picture)]
    ranked = sorted(range(len(given)), key=lambda label: -(given[label] or 0.0))
    if as_json:
        _print_json(_identity(network) | {"image": image, "prediction": ranked[0], "probabilities": given})
        return 0
    shown = [f"{label} ({_percent(given[label])})" for label in ranked[:3]]
    console = _console()
    console.print(as_text(picture))
    console.print(f"{image} reads as {shown[0]}; next {' and '.join(shown[1:])}", soft_wrap=True)
    console.print(f"Asked: {title(network)}", soft_wrap=True)
    return 0


def run_show(run: str, job: str, *, as_json: bool) -> int:
    """Print what a job learned and where it errs, and return the exit status.

    Raises:
        SeedsweepError: the sweep, the job, its weights or its data set cannot be used.
    """
    network = trained(open_run(run, Path(DEFAULT_OUTPUT)), job)
    evaluation = evaluate(network, load_settings().cache_dir)
    if as_json:
        _print_json(_identity(network) | _as_dict(network.row, evaluation))
        return 0
    console = _console()
    console.print(title(network), soft_wrap=True)
    printed = "" if network.row.notebook_accuracy is None else ", and what the notebook would have printed"
    console.print(f"\nLearning curve: validation accuracy after each epoch{printed}", soft_wrap=True)
    console.print(learning_curve(network.row))
    console.print("Confusion matrix: true class by row, prediction by column", soft_wrap=True)
    console.print(_confusion_table(evaluation))
    console.print(f"The most confident of {len(evaluation.mistakes)} mistakes", soft_wrap=True)
    console.print(_mistakes_table(evaluation.mistakes))
    return 0


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, allow_nan=False))


def _identity(network: Trained) -> dict[str, Any]:
    row = network.row
    return {
        "sweep": network.manifest.name,
        "job": row.job,
        "seed": row.seed,
        "learning_rate": row.learning_rate,
        "weights_sha256": row.weights_sha256,
    }


def _as_dict(row: Row, evaluation: Evaluation) -> dict[str, Any]:
    notebook = {} if row.notebook_accuracy is None else {"notebook_accuracy": row.notebook_accuracy}
    return {
        "status": row.status,
        "validation_accuracy": row.validation_accuracy,
        **notebook,
        "accuracy": evaluation.accuracy,
        "class_accuracy": evaluation.class_accuracy,
        "confusion_matrix": evaluation.confusion.tolist(),
        "mistakes": [asdict(mistake) for mistake in evaluation.mistakes[:MISTAKES]],
    }


def title(network: Trained) -> str:
    """Return which job it is, and how good its network is."""
    accuracy = percent(network.row.validation_accuracy[-1])
    return f"job {network.row.job[:12]} of {network.manifest.name}: {network.job}; validation accuracy {accuracy}"


def _percent(share: float | None) -> str:
    return "-" if share is None else percent(share)


def learning_curve(row: Row) -> str:
    """Return a bar for each epoch, from the lowest accuracy to the highest; of many epochs, evenly chosen ones."""
    accuracies = row.validation_accuracy
    low, high = min(accuracies), max(accuracies)
    count = min(len(accuracies), CURVE_LINES)
    chosen = sorted({round(i * (len(accuracies) - 1) / max(count - 1, 1)) for i in range(count)})
    lines = []
    for i in chosen:
        height = (accuracies[i] - low) / (high - low) if high > low else 1.0
        bar = "█" * (1 + round(height * (CURVE_WIDTH - 1)))
        printed = "" if row.notebook_accuracy is None else f" {row.notebook_accuracy[i]:>7.3f}"
        lines.append(f"{i + 1:>6} {percent(accuracies[i]):>8}{printed} {bar}")
    return "\n".join(lines) + "\n"


def _confusion_table(evaluation: Evaluation) -> Table:
    classes = range(len(evaluation.confusion))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", *map(str, classes), "right"):
        table.add_column(heading, justify="right")
    for label, counts, share in zip(classes, evaluation.confusion, evaluation.class_accuracy, strict=True):
        table.add_row(str(label), *(str(count) if count else "·" for count in counts), _percent(share))
    return table


def _mistakes_table(mistakes: list[Mistake]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("validation index", "image of the data set", "true", "predicted", "probability"):
        table.add_column(heading, justify="right")
    for mistake in mistakes[:MISTAKES]:
        cells = (mistake.index, mistake.image, mistake.true, mistake.predicted, _percent(mistake.probability))
        table.add_row(*map(str, cells))
    return table
