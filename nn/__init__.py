"""The network that is trained, its compiled kernel and its data. Imports neither `worker` nor `orchestrator`."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nn.datasets.mnist import load_mnist as load_mnist
    from nn.network import DeepNeuralNetwork as DeepNeuralNetwork

__all__ = ["DeepNeuralNetwork", "load_mnist"]


def __getattr__(name: str) -> Any:
    # Imported on demand, so that `import nn.errors` does not pay for NumPy and scikit-learn.
    module = {"DeepNeuralNetwork": "nn.network", "load_mnist": "nn.datasets.mnist"}.get(name)
    if module is not None:
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
