"""Softmax regression on handwritten digits, in plain NumPy: a trainer that Seedsweep's workers run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from seedsweep import Checkpoint, DatasetError, Metric, OnEpoch, Trained, Trainer, WeightsError

PIXELS, CLASSES, VALIDATION = 64, 10, 360


class SoftmaxOptions(BaseModel):
    """A field is an option of a sweep, its default, its bounds and its help."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(default=0.1, gt=0, le=100, description="Step size of gradient descent.")
    batch_size: int = Field(default=32, ge=1, le=1437, description="Samples of a step.")
    epochs: int = Field(default=10, ge=1, le=100_000, description="Passes over the training samples.")


@dataclass(frozen=True)
class Digits:
    """Images, float64 in [0, 1], shape (1797, 64), and their classes, shape (1797,). The last 360 are to validate."""

    X: Any
    y: Any
    digest: str


class SoftmaxTrainer(Trainer[SoftmaxOptions, Digits]):
    """Trains by mini-batches. Not exact: NumPy's products and exponentials differ from CPU to CPU in the last bits."""

    name = "softmax"
    version = 1
    Options = SoftmaxOptions
    metric = Metric(name="validation accuracy", is_share=True)
    datasets = ("digits",)
    data_help = "digits"
    data = "digits"

    def load(self, source: str, cache_dir: Path) -> Digits:
        """Load scikit-learn's digits, which come with it."""
        from sklearn.datasets import load_digits

        if source not in self.datasets:
            raise DatasetError(f"softmax has no data set {source!r}; allowed: digits")
        X, y = load_digits(return_X_y=True)
        return Digits(X / 16, y, hashlib.sha256(X.tobytes() + y.tobytes()).hexdigest())

    def train(
        self,
        options: SoftmaxOptions,
        seed: int,
        data: Digits,
        *,
        on_epoch: OnEpoch,
        resume_from: Checkpoint | None = None,
    ) -> Trained:
        """Train. The order of an epoch's samples depends on the seed and its number only: the weights are the state."""
        import numpy as np
        import safetensors.numpy

        n = len(data.X) - VALIDATION
        W = np.random.default_rng(seed).normal(0, 0.01, (PIXELS, CLASSES))
        if resume_from is not None:
            if len(resume_from.state) != W.nbytes:
                raise WeightsError(f"the checkpoint has {len(resume_from.state)} bytes; expected {W.nbytes}")
            W = np.frombuffer(resume_from.state).reshape(W.shape).copy()

        def correct() -> Any:
            return (data.X[n:] @ W).argmax(axis=1) == data.y[n:]

        for epoch in range(resume_from.epochs + 1 if resume_from else 1, options.epochs + 1):
            order = np.random.default_rng((seed, epoch)).permutation(n)
            for start in range(0, n, options.batch_size):
                rows = order[start : start + options.batch_size]
                scores = data.X[rows] @ W
                error = np.exp(scores - scores.max(axis=1, keepdims=True))
                error /= error.sum(axis=1, keepdims=True)
                error[np.arange(len(rows)), data.y[rows]] -= 1
                W -= options.learning_rate / len(rows) * data.X[rows].T @ error
            on_epoch(float(correct().mean()), W.tobytes)
        return Trained(artifact=safetensors.numpy.save({"W": W}), correct=correct().tolist())
