"""Trainers: what a worker can train. A package adds its own through the entry points `seedsweep.trainers`.

`protocol` defines what a trainer promises, and `checks` tests whether it keeps its promises. Imports only
errors and descriptions of options; a trainer's module imports NumPy and the like in the methods that need them, because
the command line asks every trainer for its options.
"""

from nn.errors import DatasetError, InvalidInputError, WeightsError
from worker.errors import TrainerCheckError
from worker.trainers.checks import check_trainer, checks
from worker.trainers.protocol import Checkpoint, Data, Drawing, Evaluated, Metric, OnEpoch, Trained, Trainer

__all__ = [
    "Checkpoint", "Data", "DatasetError", "Drawing", "Evaluated", "InvalidInputError", "Metric", "OnEpoch", "Trained",
    "Trainer", "TrainerCheckError", "WeightsError", "check_trainer", "checks",
]  # fmt: skip
