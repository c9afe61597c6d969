"""Estimates how long jobs take, by those that have ended."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from pydantic import BaseModel

from orchestrator.folder.rows import Row
from worker.job import Job


class Forecast:
    """Estimates how long jobs take: an epoch as long as with the same options, or else as all do on average.

    So the estimate holds for configurations of unlike cost.

    Args:
        rows: Rows of jobs with a result.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        #: Seconds of training and epochs, of all jobs and by options; an epoch that a job did without counts.
        self._seconds, self._epochs = 0.0, 0
        self._spent: dict[Hashable, tuple[float, int]] = {}
        #: The options and the epochs of jobs by key, because it takes a while to tell them.
        self._known: dict[str, tuple[Hashable, int]] = {}
        for row in rows:
            self.learn(row)

    def learn(self, row: Row) -> None:
        """Take in the row of a job with a result."""
        seconds, epochs, options = sum(row.epoch_seconds), row.epochs, without_epochs(row.options)
        spent, count = self._spent.get(options, (0.0, 0))
        self._spent[options] = spent + seconds, count + epochs
        self._seconds, self._epochs = self._seconds + seconds, self._epochs + epochs

    def left(
        self, jobs: Mapping[str, Job], width: float, begun: Mapping[str, tuple[float, int]], around: float = 0.0
    ) -> float | None:
        """Return the seconds that jobs take; None if it is too early to say, or nothing can run.

        Args:
            jobs: The jobs by key.
            width: How many run at a time.
            begun: The seconds and the epochs that some of them are trained already.
            around: The seconds that each takes besides its training.
        """
        seconds = self._seconds + sum(seconds for seconds, _ in begun.values())
        epochs = self._epochs + sum(epochs for _, epochs in begun.values())
        if not (seconds and epochs and width):
            return None
        rest = longest = 0.0
        for key, job in jobs.items():
            if key not in self._known:
                self._known[key] = without_epochs(job.options), job.epochs
            options, planned = self._known[key]
            spent, count = self._spent.get(options, (seconds, epochs))
            each = max(planned * spent / count + around - begun.get(key, (0.0, 0))[0], 0.0)
            rest, longest = rest + each, max(longest, each)
        return max(rest / width, longest)


def without_epochs(options: BaseModel) -> Hashable:
    """Return the options of a job but for its epochs."""
    return frozenset((name, value) for name, value in options if name != "epochs")
