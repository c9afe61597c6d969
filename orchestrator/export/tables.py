"""A sweep as two tables: one row for each job that has ended, and one for each of its epochs; written as CSV.

A single table would repeat every option in each epoch and lose the jobs without epochs; a column for each epoch would
depend on the longest job. The column `job` joins them. CSV is in UTF-8, with commas, a line feed after each row, and
numbers with all their digits.
"""

import contextlib
import csv
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nn.options.describe import written
from orchestrator.analysis.sweep import Sweep
from orchestrator.export.jobs import OnProgress, counted
from orchestrator.folder.rows import Row
from worker.text import csv_cell


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the jobs and the epochs of a sweep of which a job has ended. The same results give the same bytes.

    Text is untrusted: its control characters are escaped, and what a spreadsheet would take for a formula gets a
    leading apostrophe.
    """
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("w", encoding="utf-8", newline="")) for path in paths]
        jobs, epochs = (csv.writer(file, lineterminator="\n") for file in files)
        jobs.writerow(map(csv_cell, _job(sweep, sweep.ended[0])))
        others = _headed(dict.fromkeys(sweep.others), "metrics", {"job", "seed", "epoch", "score", "seconds"})
        epochs.writerow(map(csv_cell, ("job", "seed", "epoch", "score", *others, "seconds")))
        for row in counted(sweep, on_progress):
            jobs.writerow(_job(sweep, row).values())
            series = row.validation_score, *(row.others.get(name, ()) for name in sweep.others), row.epoch_seconds
            for epoch, numbers in enumerate(zip_longest(*series), 1):
                epochs.writerow((row.job, row.seed, epoch, *numbers))


def _job(sweep: Sweep, row: Row) -> dict[str, Any]:
    """Return the cells of a job by their headings: its options, how it ended, and its last metrics.

    An option that is named like another column gets a prefix: `options.status`. So does a further metric that is named
    like a column or an option: `metrics.loss`.
    """
    job = sweep.jobs[row.job]
    names = {"job": row.job, "seed": row.seed, "trainer": job.trainer}
    ended = {"status": row.status, "metric": job.metric.name, "score": _last(row.validation_score)}
    rest = {
        "epochs_trained": len(row.validation_score),
        "seconds": sum(row.epoch_seconds) if row.accepted else None,
        **{name: getattr(row, name) for name in ("attempts", "worker", "reused_from", "weights_sha256")},
        "mismatches": len(row.mismatches),
        **{name: getattr(row, name) for name in ("environment", "code", "stopped", "error")},
    }
    taken = {*names, *ended, *rest}
    # The jobs of a sweep may have several models of options.
    own = dict(job.options)
    options = _headed({name: own.get(name, "") for name in sweep.options}, "options", taken)
    others = _headed({name: _last(row.others.get(name, ())) for name in sweep.others}, "metrics", taken)
    told = {name: csv_cell(value, written(value)) for name, value in options.items()}
    cells = [{name: csv_cell(value) for name, value in part.items()} for part in (names, ended, others, rest)]
    return cells[0] | told | cells[1] | cells[2] | cells[3]


def _headed(cells: Mapping[str, Any], prefix: str, taken: set[str]) -> dict[str, Any]:
    """Return cells by headings that become taken: their names, with the prefix until none has two meanings."""
    headed: dict[str, Any] = {}
    for name, cell in cells.items():
        heading = name
        while heading in taken or (heading != name and heading in cells):
            heading = f"{prefix}.{heading}"
        taken.add(heading)
        headed[heading] = cell
    return headed


def _last(values: Sequence[float]) -> float | None:
    return values[-1] if values else None
