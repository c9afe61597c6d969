"""What every format tells of a job: its metrics, when it began."""

import re
from collections.abc import Callable, Iterator, Sequence

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row

#: Called with the number of jobs that are written, and of all jobs.
OnProgress = Callable[[int, int], None]


def counted(sweep: Sweep, on_progress: OnProgress) -> Iterator[Row]:
    """Yield the rows of the jobs that have ended, and tell after each one how many have been written."""
    for done, row in enumerate(sweep.ended, 1):
        yield row
        on_progress(done, len(sweep.ended))


def start_of(sweep: Sweep, row: Row) -> float:
    """Return when a job's first attempt began, in seconds since 1970; the sweep's start if its row does not tell."""
    return row.history[0].started if row.history else sweep.start


def metric_of(sweep: Sweep) -> str:
    """Return the metric's name as one word, as tools want it: `validation_accuracy`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", sweep.names.metric.name).strip("_").lower() or "score"


def series_of(sweep: Sweep, row: Row) -> dict[str, Sequence[float]]:
    """Return the metrics after each epoch by name, in the characters that MLflow allows; no two share a name."""
    series: dict[str, Sequence[float]] = {metric_of(sweep): row.validation_score}
    for name, values in row.others.items():
        word = re.sub(r"[^A-Za-z0-9_ .:/-]", "_", name)
        while word in series:
            word += "_2"
        series[word] = values
    return series
