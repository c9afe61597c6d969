"""The record of an epoch, and the checkpoint from which training resumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nn.weights import Weights


class EpochRecord(NamedTuple):
    """The duration and the accuracy of one epoch.

    Attributes:
        epoch: The number of the epoch, counted from 1.
        seconds: The duration of training and validation together.
        validation_accuracy: The share of the validation set that is classified correctly, from 0 to 1; None without a
            validation set.
        notebook_accuracy: The number that the notebook would have printed (`nn.notebook.notebook_accuracy`); None
            unless the rule is `notebook` and there is a validation set.
    """

    epoch: int
    seconds: float
    validation_accuracy: float | None = None
    notebook_accuracy: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The state of training at the end of an epoch. `fit(..., resume_from=checkpoint)` continues to the same bits.

    It holds no state of a random generator, because the order of an epoch depends on the seed and the number of the
    epoch only.

    Attributes:
        weights: The weights after the last epoch of the history.
        history: The record of each epoch so far.
    """

    weights: Weights
    history: tuple[EpochRecord, ...] = ()

    @property
    def epochs(self) -> int:
        """The number of epochs trained so far."""
        return len(self.history)
