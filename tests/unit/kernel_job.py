"""Train short jobs in a process of their own, and print the SHA-256 of each one's weights.

python tests/unit/kernel_job.py N_SAMPLES CACHE_DIR
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from nn.datasets.mnist import load_mnist
from nn.engine import Engine
from nn.kernel.engine import CompiledEngine
from nn.notebook import notebook_engine
from nn.weights import Weights, initial_weights

EPOCHS = 5


def sha256(weights: Weights) -> str:
    return hashlib.sha256(b"".join(matrix.tobytes() for matrix in weights)).hexdigest()


def main() -> None:
    n_samples, cache_dir = int(sys.argv[1]), Path(sys.argv[2])
    samples = load_mnist(cache_dir=cache_dir).train.first(n_samples)

    def weights(dtype: str, hidden: tuple[int, int], *, biases: bool = False) -> Weights:
        return initial_weights((784, *hidden, 10), np.random.RandomState(0), dtype, biases=biases)

    jobs: dict[str, Engine] = {
        "float32": CompiledEngine(weights("float32", (128, 64)), loss="cross_entropy"),
        "float64": CompiledEngine(weights("float64", (128, 64)), loss="cross_entropy"),
        "sum_of_squares": CompiledEngine(weights("float32", (100, 37)), loss="sum_of_squares"),
        "biases": CompiledEngine(weights("float32", (128, 64), biases=True), loss="cross_entropy"),
        "biases_float64_sum_of_squares": CompiledEngine(
            weights("float64", (100, 37), biases=True), loss="sum_of_squares"
        ),
        "notebook": notebook_engine(weights("float64", (128, 64))),
    }
    for name, engine in jobs.items():
        for _ in range(EPOCHS):
            engine.train_epoch(samples, 0.1)
        print(name, sha256(engine.weights()), hashlib.sha256(engine.predict_proba(samples).tobytes()).hexdigest())


if __name__ == "__main__":
    main()
