"""A sweep of an invented trainer, with options of every kind, hostile texts, and jobs that ended in every way."""

import contextlib
from pathlib import Path

from nn.files import digest
from orchestrator.folder.rows import lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.own_trainer import WITHOUT_DATA, installed
from tests.support.sweep_folders import filled, row
from worker.job import Job

DATASET = "d" * 64
#: Markup, a formula, a path, a terminal's escape, right-to-left, quotes, and a line break; 200 characters long.
HOSTILE = ('=cmd|"<script>alert(1)</script>",../../x\x1b[31m\N{HEBREW LETTER ALEF}\N{RIGHT-TO-LEFT OVERRIDE}\n' * 5)[
    :200
]
SOURCE = f"""{WITHOUT_DATA}
class Options(Frozen):
    text: str = Field(default="plain", max_length=400, description="Any text.")
    widths: tuple[int, ...] = Field(default=(3, 2), description="Widths.")
    depth: int | None = Field(default=None, description="Depth.")
    ratio: float = Field(default=0.5, description="A number.")
    status: str = Field(default="x", description="Named like a column.")
    loss: bool = Field(default=False, description="Named like a metric.")
    epochs: int = Field(default=2, ge=1, le=5, description="Epochs.")

class Odd(WithoutData):
    name, version, Options, metric = "odd", 1, Options, Metric(name="error rate", higher_is_better=False)

    def others(self, options):
        return (Metric(name="loss", higher_is_better=False), Metric(name="speed"), Metric(name="metrics.loss"))

    def max_bytes(self, options, digest):
        return 1000

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        raise NotImplementedError
"""


def odd_trainer(folder: Path) -> contextlib.AbstractContextManager[object]:
    """Let this process find the invented trainer, in a package in this folder."""
    return installed(folder, "odd", SOURCE, "Odd")


def odd_sweep(output: Path, name: str = "odd", *, running: bool = False) -> SweepFolder:
    """Make a sweep of 2 texts x 3 seeds: of the hostile text, one job failed, one diverged, one was cancelled.

    Args:
        output: The folder of all sweeps.
        name: The sweep's name.
        running: Whether the last three jobs have not ended yet.
    """
    specification = SweepSpecification(
        trainer="odd", data="any", seeds=(0, 1, 2), options={"ratio": -0.1}, grid={"text": ("plain", HOSTILE)}
    )
    folder = filled(output, specification, lambda _: None, name=name, dataset=DATASET)
    with folder.exclusive():
        for job in list(folder.manifest().jobs_by_key().values())[: 3 if running else None]:
            end(folder, job)
    return folder


def end(folder: SweepFolder, job: Job) -> None:
    """Append the row of a job, and keep its weights, if it has any."""
    if job.options.text == HOSTILE and job.seed > 0:  # type: ignore[attr-defined]
        folder.append(lost_row(job, "failed" if job.seed == 1 else "cancelled", "=it broke\x1b[0m\nsecond line"))
        return
    blob = b"weights of " + job.key.encode()
    ended = {"status": "diverged", "error": "=diverged"} if job.options.text == HOSTILE else {}  # type: ignore[attr-defined]
    others = {"loss": [2.0, 1.0], "speed": [10.0, 11.0], "metrics.loss": [4.0, 3.0]}
    scores = (0.5, 0.25 + job.seed / 3)
    folder.keep_weights(digest(blob), blob)
    folder.append(row(job, blob, scores, others=others, epoch_seconds=[0.5, 0.25], worker="-w@host", **ended))
