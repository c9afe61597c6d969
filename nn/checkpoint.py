"""What training reports after each epoch, and all that it needs to go on from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nn.weights import Weights


class EpochRecord(NamedTuple):
    """What one epoch gave.

    Attributes:
        epoch: Its number, from 1.
        seconds: How long it took, training and validation together.
        validation_accuracy: Share of the validation set that is classified right; None without a validation set.
        notebook_accuracy: What the notebook would have printed, in its own scale; None but for `rule="notebook"` with a
            validation set.
    """

    epoch: int
    seconds: float
    validation_accuracy: float | None = None
    notebook_accuracy: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Training as it stood at the end of an epoch: `fit(..., resume_from=checkpoint)` goes on to the same bits.

    There is no state of a random generator in it, because the order of an epoch follows from the seed and the epoch's
    number alone.

    Attributes:
        weights: The weights after the last epoch of the history.
        history: The record of every epoch so far.
    """

    weights: Weights
    history: tuple[EpochRecord, ...] = ()

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return len(self.history)
