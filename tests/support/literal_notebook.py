"""The notebook's own code, written out literally: slow, and with its mistakes."""

from typing import Any

import numpy as np


class LiteralNotebook:
    """What the notebook's class does, formula by formula, from NumPy's global seed."""

    def __init__(self, sizes: tuple[int, int, int, int], seed: int, l_rate: float) -> None:
        np.random.seed(seed)
        n_in, n_1, n_2, n_out = sizes
        self.l_rate = l_rate
        self.W1 = np.random.randn(n_1, n_in) * np.sqrt(1.0 / n_1)
        self.W2 = np.random.randn(n_2, n_1) * np.sqrt(1.0 / n_2)
        self.W3 = np.random.randn(n_out, n_2) * np.sqrt(1.0 / n_out)

    def sigmoid(self, z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def sigmoid_derivative(self, z: Any) -> Any:
        return np.exp(-z) / (np.exp(-z) + 1) ** 2

    def softmax(self, z: Any) -> Any:
        exps = np.exp(z - z.max())
        return exps / np.sum(exps, axis=0)

    def forward(self, x: Any) -> Any:
        self.Z1 = np.dot(self.W1, x)
        self.A1 = self.sigmoid(self.Z1)
        self.Z2 = np.dot(self.W2, self.A1)
        self.A2 = self.sigmoid(self.Z2)
        self.A3 = self.softmax(np.dot(self.W3, self.A2))
        return self.A3

    def train(self, X: Any, Y: Any) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for x, y in zip(X, Y, strict=True):
                error = self.forward(x) - y
                change_3 = np.dot(error, self.A3)
                error = np.dot(self.W3.T, error) * self.sigmoid_derivative(self.Z2)
                change_2 = np.dot(error, self.A2)
                error = np.dot(self.W2.T, error) * self.sigmoid_derivative(self.Z1)
                change_1 = np.dot(error, self.A1)
                self.W1 -= self.l_rate * change_1
                self.W2 -= self.l_rate * change_2
                self.W3 -= self.l_rate * change_3

    def accuracy(self, X: Any, Y: Any) -> float:
        equal = []
        with np.errstate(over="ignore", invalid="ignore"):
            for x, y in zip(X, Y, strict=True):
                equal.append(np.argmax(self.forward(x)) == y)
        return float(np.average(sum(equal) / 100.0))
