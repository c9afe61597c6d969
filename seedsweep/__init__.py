"""Seedsweep from Python.

    import seedsweep

    sweep = seedsweep.sweep(learning_rate=[0.01, 0.03], epochs=5, seeds=10)
    print(sweep.verdict)
    sweep.leaderboard().to_pandas()
    network = sweep.best().network()
    old = seedsweep.open("runs/first")

The public interface is `__all__`; docs/how-to/python.md describes it. Other modules may change in any release.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nn import DeepNeuralNetwork, load_mnist
    from nn.errors import DatasetError, InvalidInputError, SeedsweepError, WeightsError
    from orchestrator.errors import (
        BrokerUnreachableError,
        ClaimError,
        ClusterError,
        ClusterFullError,
        HeldOutError,
        IncomparableError,
        MissingPackageError,
        OutputError,
        SweepBusyError,
        SweepExistsError,
        SweepNotFoundError,
        SweepUnreadableError,
        TrainerMissingError,
    )
    from orchestrator.interface import (
        Leaderboard,
        Sweep,
        TrainedModel,
        cluster,
        open,  # noqa: A004
        submit,
        summaries,
        sweep,
        sweeps,
        verify_claim,
        watch,
    )
    from worker.errors import TrainerCheckError
    from worker.trainers.checks import check_trainer
    from worker.trainers.protocol import Checkpoint, Drawing, Evaluated, Metric, OnEpoch, Trained, Trainer

__all__ = [
    "BrokerUnreachableError", "Checkpoint", "ClaimError", "ClusterError", "ClusterFullError", "DatasetError",
    "DeepNeuralNetwork", "Drawing", "Evaluated", "HeldOutError", "IncomparableError", "InvalidInputError",
    "Leaderboard", "Metric", "MissingPackageError", "OnEpoch", "OutputError", "SeedsweepError", "Sweep",
    "SweepBusyError", "SweepExistsError", "SweepNotFoundError", "SweepUnreadableError", "Trained", "TrainedModel",
    "Trainer", "TrainerCheckError", "TrainerMissingError", "WeightsError", "check_trainer", "cluster", "load_mnist",
    "open", "submit", "summaries", "sweep", "sweeps", "verify_claim", "watch",
]  # fmt: skip

#: Where names are looked up, in this order. A trainer's package that imports `Trainer` in a worker thus does not import
#: the orchestrator.
_HOMES = (
    "worker.trainers.protocol", "nn.errors", "worker.errors", "worker.trainers.checks", "orchestrator.errors", "nn",
    "orchestrator.interface",
)  # fmt: skip


# Unseen by type checkers, which would take any name for one of these.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for home in _HOMES:
                module = importlib.import_module(home)
                if name in getattr(module, "__all__", ()) or getattr(module, name, None) is not None:
                    return getattr(module, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
