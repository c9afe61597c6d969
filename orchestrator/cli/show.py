"""`orchestrator show` and `predict`: show what a job learned, and its mistakes; ask it about a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nn.errors import Described, InvalidInputError, SeedsweepError
from orchestrator.analysis.evaluation import data_of, evaluate, probabilities
from orchestrator.analysis.lookup import TrainedJob, best_job, drawings, draws, trained_job
from orchestrator.analysis.selection import pick_one
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import complain, print_json, print_table, say
from orchestrator.cli.shared.parameters import AnySweep, AsJson, BestJob, path
from orchestrator.errors import PictureError
from orchestrator.folder.rows import Row
from orchestrator.text import counted
from worker.settings import load_settings
from worker.trainers.network import NOTEBOOK_ACCURACY, NetworkTrainer
from worker.trainers.protocol import Drawing, Metric

#: The number of mistakes that are listed.
MISTAKES = 10
#: The most lines and columns that the bars of a learning curve take.
CURVE_LINES = 20
CURVE_WIDTH = 50
#: Returns a share in percent, with two decimals: 97.31 %; a dash for None.
percent = NetworkTrainer.metric.shown


def command(folder: AnySweep, words: BestJob = None, as_json: AsJson = False) -> int:
    """Show what a job learned, and its mistakes on the validation set.

    A job of a trainer other than network has a learning curve, and what its trainer draws.

    Example: orchestrator show night-run seed=3 learning_rate=0.01
    """
    swept = Sweep.read(folder)
    if swept.manifest.specification.trainer != NetworkTrainer.name:
        key = pick_one(swept.name, swept.jobs, words) if words else best_job(swept)
        return _show_curve(swept, key, as_json=as_json)
    network = trained_job(swept, words or ())
    evaluation = evaluate(network, data_of(swept.manifest, network.job, load_settings().cache_dir))
    if as_json:
        found = {
            "validation_score": network.row.validation_score,
            "others": network.row.others,
            "accuracy": evaluation.accuracy,
            "class_accuracy": evaluation.class_accuracy,
            "confusion_matrix": evaluation.confusion.tolist(),
            "mistakes": [asdict(mistake) for mistake in evaluation.mistakes[:MISTAKES]],
        }
        return print_json(identity(network) | found)
    console = Console()
    say(console, title(network))
    say(console, f"\n{learning_curve(network.row, network.job.metric)}")
    say(console, "Confusion matrix: true class by row, prediction by column")
    classes = range(len(evaluation.confusion))
    rows = [
        (str(label), *(str(count) if count else "·" for count in counts), percent(share))
        for label, counts, share in zip(classes, evaluation.confusion, evaluation.class_accuracy, strict=True)
    ]
    print_table(console, ("", *map(str, classes), "right"), rows, spare=("right",), padding=(0, 1, 0, 0))
    say(console, f"The most confident of {counted(len(evaluation.mistakes), 'mistake')}")
    headings = ("validation index", "image of the data set", "true", "predicted", "probability")
    rows = [
        (*map(str, (mistake.index, mistake.image, mistake.true, mistake.predicted)), percent(mistake.probability))
        for mistake in evaluation.mistakes[:MISTAKES]
    ]
    print_table(console, headings, rows, spare=("validation index", "probability"))
    return 0


def _show_curve(swept: Sweep, key: str, *, as_json: bool) -> int:
    job, row = swept.jobs[key], swept.rows.get(key)
    if row is None or not row.accepted:
        why = "has no result yet" if row is None else "failed" if row.status == "failed" else "was cancelled"
        found = Described(f"{job.words(swept.axes)}, which {why}")
        raise InvalidInputError("JOB", found, "a job with a result" + (f". It ended with {row.error}" if row else ""))
    drawn: Sequence[Drawing] = ()
    try:
        drawn = drawings(swept, job, load_settings().cache_dir) if draws(job) else ()
    except SeedsweepError as error:
        complain(str(error))
    if as_json:
        tables = [{"title": each.title, "columns": each.columns, "rows": each.rows} for each in drawn]
        return print_json(row.model_dump(mode="json") | {"drawings": tables})
    console = Console()
    ended = "" if row.error is None else f"; {row.error}"
    last = f"{job.metric.name} {job.metric.shown(row.validation_score[-1])}"
    say(console, f"job {key[:12]} of {swept.name}: {job.words(swept.axes)}; {last}{ended}")
    say(console, f"\n{learning_curve(row, job.metric)}")
    for each in drawn:
        say(console, each.title if each.columns else f"{each.title}: a picture, which the report shows")
        if each.columns:
            print_table(console, each.columns, [[str(cell) for cell in cells] for cells in each.rows])
    return 0


def learning_curve(row: Row, metric: Metric = NetworkTrainer.metric) -> str:
    """Return a line with a bar for each epoch, or for `CURVE_LINES` evenly spaced ones if there are more.

    Two lines before them say what the bars show, and where they begin and end: at the lowest and the highest value; if
    all are equal, at 0 and 1 at least.
    """
    scores, notebook = row.validation_score, row.others.get(NOTEBOOK_ACCURACY)
    begin, end = min(scores), max(scores)
    if begin == end:
        begin, end = min(begin, 0.0), max(end, 1.0)
    then = ", then what the notebook would have printed" if notebook else ""
    lines = [
        f"Learning curve: {metric.name} after each epoch{then}",
        f"(the bars begin at {metric.shown(begin)} and end at {metric.shown(end)})",
    ]
    count = min(len(scores), CURVE_LINES)
    for i in sorted({round(i * (len(scores) - 1) / max(count - 1, 1)) for i in range(count)}):
        bar = "█" * (1 + round((scores[i] - begin) / (end - begin) * (CURVE_WIDTH - 1)))
        printed = f" {notebook[i]:>7.3f}" if notebook else ""
        lines.append(f"{i + 1:>6} {metric.shown(scores[i]):>8}{printed} {bar}")
    return "\n".join(lines) + "\n"


def predict(
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
    # Imported here because it takes a while.
    from orchestrator.analysis.picture import read_bounded

    try:
        picture = read_bounded(image)
    except PictureError as error:
        raise PictureError(f"--image: {error}") from None
    network = trained_job(Sweep.read(folder), words or ())
    # The probabilities of a network that diverged are not finite.
    found = [float(p) if math.isfinite(p) else None for p in probabilities(network.weights, picture)]
    ranked = sorted(range(len(found)), key=lambda digit: -(found[digit] or 0.0))
    if as_json:
        answer = {"image": str(image), "prediction": ranked[0], "probabilities": found}
        return print_json(identity(network) | answer)
    shown = [f"{digit} ({percent(found[digit])})" for digit in ranked[:3]]
    console = Console()
    say(console, f"{image} reads as {shown[0]}; next {' and '.join(shown[1:])}")
    say(console, f"Asked: {title(network)}")
    return 0


def identity(network: TrainedJob) -> dict[str, Any]:
    """Return the fields that identify a job, for JSON."""
    own = {"job", "seed", "options", "status", "weights_sha256"}
    return {"sweep": network.sweep.name, **network.row.model_dump(mode="json", include=own)}


def title(network: TrainedJob) -> str:
    """Return one line that identifies a job and gives its validation accuracy."""
    row = network.row
    accuracy = percent(row.validation_score[-1])
    diverged = f"; diverged ({row.error})" if row.status == "diverged" else ""
    words = network.job.words(network.sweep.manifest.axes)
    return f"job {row.job[:12]} of {network.sweep.name}: {words}; validation accuracy {accuracy}{diverged}"
