"""Trainers: what a worker can train. A package adds its own through the entry points `seedsweep.trainers`.

`protocol` has what a trainer promises, and `check` the function that tests whether it keeps the promises. Imports only
errors and descriptions of options; a trainer's module imports NumPy and the like in the methods that need them, because
the command line asks every trainer for its options.
"""

from worker.trainers.protocol import Checkpoint, Data, Metric, Trained, Trainer

__all__ = ["Checkpoint", "Data", "Metric", "Trained", "Trainer"]
