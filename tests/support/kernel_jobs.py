"""Short jobs of every kind of kernel whose weights are known to the bit.

`python -m tests.support.kernel_jobs CACHE_DIR N_SAMPLES...` trains them in a process of their own, on each number of
samples, and prints the SHA-256 of each one's weights and probabilities.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nn.datasets.mnist import load_mnist
from nn.samples import Samples
from nn.training import Engine, make_engine
from nn.weights import Weights, initial_weights

EPOCHS = 5


@dataclass(frozen=True)
class KernelJob:
    """A kernel, as the options of the network and the engine name it."""

    dtype: str
    hidden: tuple[int, int]
    loss: str = "cross_entropy"
    rule: str = "backprop"
    biases: bool = False

    def initial_weights(self) -> Weights:
        return initial_weights((784, *self.hidden, 10), np.random.RandomState(0), self.dtype, biases=self.biases)

    def engine(self, name: str, weights: Weights) -> Engine:
        return make_engine(name, weights, loss=self.loss, rule=self.rule)

    def train(self, samples: Samples) -> Engine:
        """Train five epochs by the kernel, at the learning rate 0.1, from seed 0."""
        engine = self.engine("compiled", self.initial_weights())
        for _ in range(EPOCHS):
            engine.train_epoch(samples, 0.1)
        return engine


#: Each pair of a dtype, a loss and biases or none is among them, each loop with and without a remainder, and the rule.
JOBS = {
    "float32": KernelJob("float32", (128, 64)),
    "float64": KernelJob("float64", (128, 64)),
    "sum_of_squares": KernelJob("float32", (100, 37), loss="sum_of_squares"),
    "biases": KernelJob("float32", (128, 64), biases=True),
    "biases_float64_sum_of_squares": KernelJob("float64", (100, 37), loss="sum_of_squares", biases=True),
    "notebook": KernelJob("float64", (128, 64), rule="notebook"),
}

#: The SHA-256 of the weights after training on the first images, by their number: some, and all of the training split.
KNOWN = {
    2000: {
        "float32": "d1a355d5fb1064ed69ffc0e8f40a6d4bf585e9d405858bbbf4024f502fde4a70",
        "float64": "84268e86b388f993d08244b7df1f9384b857b2d6b28f6ecf1acf9f32b5839873",
        "sum_of_squares": "10300c808dfbd7b4cc070d54cf2373693389279b4ec7d4a4e62424c48dbe5950",
        "biases": "4e9320a4931c6d9f1e1594b2316d506c101ea8845962356f4b21edd91840fcfa",
        "biases_float64_sum_of_squares": "e10c641d262920275e684a65a2effe59553d5437ab6df827e436f514128058b0",
        "notebook": "c01fa75f9391fc876bf33d06911be929a719e82f1c314f1dbe3ff295ecfd1f01",
    },
    59_500: {
        "float32": "a969a0f2c7ebdb606e2b1d8f116da3a10bbcade83503183af269cf5a34b417c8",
        "float64": "ebd670b82f1b76676c3451a993a5bdc1e326b05a425d5f65da8ac48a5130ce6f",
        "sum_of_squares": "c4a646d34b3c61b2de420fe9f4f77966ba0a3bab3c769c022c0bed95c5ac8c80",
        "biases": "858f10770c5428f1d23140b973748f24d95d26137d4cb6a55621d7fa9184dae9",
        "biases_float64_sum_of_squares": "4c63a5ea2f02c26b9adb441e8bf87c4d337ef0942b87c71335c12e3803ed2db1",
        "notebook": "3605a16bf4712bc05a44683871fa9310b6780b079d1aa7791899d616cbe87e0c",
    },
}


def sha256(weights: Weights) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest()


def main() -> None:
    mnist = load_mnist(cache_dir=Path(sys.argv[1])).train
    for n_samples in sys.argv[2:]:
        samples = mnist.first(int(n_samples))
        for name, job in JOBS.items():
            engine = job.train(samples)
            probabilities = hashlib.sha256(engine.predict_proba(samples).tobytes()).hexdigest()
            print(n_samples, name, sha256(engine.weights()), probabilities)


if __name__ == "__main__":
    main()
