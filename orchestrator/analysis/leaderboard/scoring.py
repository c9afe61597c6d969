"""Which number of a job counts: its metric after the last epoch, after its best one, or averaged over the last ones."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nn.errors import InvalidInputError
from nn.options.network import MAX_EPOCHS
from worker.trainers.protocol import Metric

ALLOWED = f"last, best, or mean-K with K from 1 to {MAX_EPOCHS} epochs"
_MEAN = re.compile(r"mean-([1-9]\d{0,5})", re.ASCII)


@dataclass(frozen=True)
class Scoring:
    """How a job's metrics become its score.

    Attributes:
        kind: `last` takes the metric after the last epoch, `best` the best of all epochs, `mean` a mean.
        epochs: Over how many epochs, the last ones, `mean` averages.
    """

    kind: Literal["last", "best", "mean"] = "last"
    epochs: int = 1

    @classmethod
    def parse(cls, text: str) -> Scoring:
        """Read `last`, `best` or `mean-K`.

        Raises:
            InvalidInputError: the text is none of them.
        """
        match = _MEAN.fullmatch(text)
        if match and int(match[1]) <= MAX_EPOCHS:
            return cls("mean", int(match[1]))
        if text == "last":
            return cls("last")
        if text == "best":
            return cls("best")
        raise InvalidInputError("metric", text, ALLOWED)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"mean-{self.epochs}" if self.kind == "mean" else self.kind

    def check(self, fewest: int) -> None:
        """Refuse to average over more epochs than a job has.

        Args:
            fewest: The epochs of the job with the fewest.

        Raises:
            InvalidInputError: it averages over more.
        """
        if self.kind == "mean" and self.epochs > fewest:
            allowed = f"at most mean-{fewest}: a job of the sweep has {fewest} epoch{'' if fewest == 1 else 's'}"
            raise InvalidInputError("metric", str(self), allowed)

    @property
    def phrase(self) -> str:
        """Say which epochs count, as tables and sentences do."""
        if self.kind == "mean" and self.epochs > 1:
            return f"averaged over the last {self.epochs} epochs"
        return "after its best epoch" if self.kind == "best" else "after the last epoch"

    def score(self, values: Sequence[float], metric: Metric) -> float:
        """Return the score of a job.

        Args:
            values: The metric after each epoch, at least one. Of fewer than `epochs`, all are averaged.
            metric: Says whether higher is better.
        """
        if self.kind == "best":
            return max(values) if metric.higher_is_better else min(values)
        return values[-1] if self.epochs == 1 else statistics.fmean(values[-self.epochs :])


LAST = Scoring()
