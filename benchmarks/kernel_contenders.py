"""The ways to train for an epoch, one sample at a time, that `benchmarks/kernel.py` compares."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import sgemv, sger

from nn import notebook
from nn.kernel.engine import CompiledEngine
from nn.reference import NumPyEngine
from nn.samples import Samples
from nn.training import Engine, make_engine
from nn.weights import Weights

#: Classes that a trained network predicts for dense float32 images.
Predict = Callable[[NDArray[np.float32]], NDArray[np.int64]]


@dataclass(frozen=True)
class Task:
    """What every contender trains: the same weights, samples and learning rate."""

    weights: Weights
    train: Samples
    x_train: NDArray[np.float32]
    learning_rate: float

    def weights_as(self, dtype: str) -> Weights:
        """Return a fresh copy in a dtype."""
        return Weights(*(matrix.astype(dtype) for matrix in self.weights))


@dataclass(frozen=True)
class Contender:
    """A way to train.

    Attributes:
        name: As the table shows it.
        prepare: Takes the task, and returns a function that trains for an epoch. Only the latter is timed; it returns
            the trained network's weights, or its predict function.
        needs: A distribution that must be installed.
    """

    name: str
    prepare: Callable[[Task], Callable[[], Weights | Predict]]
    needs: str | None = None

    @property
    def version(self) -> str | None:
        """The name and version of what it needs; None if it needs nothing."""
        return self.needs and f"{self.needs} {importlib.metadata.version(self.needs)}"

    @property
    def can_run(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or any(importlib.metadata.distributions(name=self.needs))


def _engine(make: Callable[[Weights], Engine], dtype: str, *, shuffled: bool = False) -> Callable[[Task], Any]:
    def prepare(task: Task) -> Callable[[], Weights]:
        engine = make(task.weights_as(dtype))
        order = np.random.RandomState(0).permutation(len(task.train)) if shuffled else None

        def train() -> Weights:
            engine.train_epoch(task.train, task.learning_rate, order)
            return engine.weights()

        return train

    return prepare


def _with_biases(task: Task) -> Weights:
    """Return fresh float32 weights with biases of zero."""
    weights = task.weights_as("float32")
    b1, b2, b3 = (np.zeros(size, np.float32) for size in weights.layer_sizes[1:])
    return replace(weights, b1=b1, b2=b2, b3=b3)


def _compiled_biases(task: Task) -> Callable[[], Weights]:
    engine = CompiledEngine(_with_biases(task), loss="cross_entropy")

    def train() -> Weights:
        engine.train_epoch(task.train, task.learning_rate)
        return engine.weights()

    return train


def _numpy_and_blas(task: Task) -> Callable[[], Weights]:
    """Train in NumPy, with BLAS's rank-one update in place, which needs matrices in column-major order."""
    W1, W2, W3 = (np.asfortranarray(matrix) for matrix in task.weights_as("float32"))
    X, labels, rate = task.x_train, task.train.labels, task.learning_rate
    one = np.float32(1)

    def train() -> Weights:
        for x, label in zip(X, labels, strict=True):
            a1 = one / (one + np.exp(-sgemv(1, W1, x)))
            a2 = one / (one + np.exp(-sgemv(1, W2, a1)))
            z = sgemv(1, W3, a2)
            error = np.exp(z - z.max())
            error /= error.sum()
            error[label] -= one
            error_2 = sgemv(1, W3, error, trans=1) * (a2 * (one - a2))
            error_1 = sgemv(1, W2, error_2, trans=1) * (a1 * (one - a1))
            sger(-rate, error, a2, a=W3, overwrite_a=1)
            sger(-rate, error_2, a1, a=W2, overwrite_a=1)
            sger(-rate, error_1, x, a=W1, overwrite_a=1)
        return Weights(*(np.ascontiguousarray(matrix) for matrix in (W1, W2, W3)))

    return train


def _notebook_code(task: Task) -> Callable[[], Weights]:
    """Train by the notebook's rule with the loop of its code, which updates each row of each matrix separately."""
    weights = task.weights_as("float64")
    one_hot = np.eye(len(weights.W3), dtype=np.float32)

    def train() -> Weights:
        for x, label in zip(task.x_train, task.train.labels, strict=True):
            for matrix, change in zip(weights, notebook.changes(weights, x, one_hot[label]), strict=True):
                for row in matrix:
                    row -= task.learning_rate * change
        return weights

    return train


def _scikit_learn(task: Task) -> Callable[[], Predict]:
    from sklearn.neural_network import MLPClassifier

    classes = np.arange(len(task.weights.W3))
    network = MLPClassifier(
        hidden_layer_sizes=(len(task.weights.W1), len(task.weights.W2)),
        activation="logistic",
        solver="sgd",
        batch_size=1,
        alpha=0,
        momentum=0,
        learning_rate_init=task.learning_rate,
        shuffle=False,
    )
    # The first call makes the network, whose weights can then be replaced. Its biases begin at zero and are trained.
    network.partial_fit(task.x_train[:1], task.train.labels[:1], classes=classes)
    for held, given in zip(network.coefs_, task.weights_as("float32"), strict=True):
        held[...] = given.T
    for biases in network.intercepts_:
        biases[...] = 0

    def train() -> Predict:
        network.partial_fit(task.x_train, task.train.labels)
        return network.predict  # type: ignore[no-any-return]

    return train


def _pytorch(task: Task) -> Callable[[], Weights]:
    import torch

    torch.set_num_threads(1)
    given = [torch.from_numpy(matrix) for matrix in task.weights_as("float32")]
    layers = [torch.nn.Linear(matrix.shape[1], matrix.shape[0], bias=False) for matrix in given]
    for layer, matrix in zip(layers, given, strict=True):
        layer.weight.data.copy_(matrix)
    network = torch.nn.Sequential(layers[0], torch.nn.Sigmoid(), layers[1], torch.nn.Sigmoid(), layers[2])
    optimizer = torch.optim.SGD(network.parameters(), lr=task.learning_rate)
    loss = torch.nn.CrossEntropyLoss()
    X, labels = torch.from_numpy(task.x_train), torch.from_numpy(task.train.labels.copy())

    def train() -> Weights:
        for i in range(len(X)):
            optimizer.zero_grad()
            loss(network(X[i : i + 1]), labels[i : i + 1]).backward()
            optimizer.step()
        return Weights(*(layer.weight.detach().numpy() for layer in layers))

    return train


def _jax(task: Task) -> Callable[[], Weights]:
    import jax
    import jax.numpy as jnp

    rate = task.learning_rate

    def loss(weights: Any, x: Any, label: Any) -> Any:
        W1, W2, W3 = weights
        return -jax.nn.log_softmax(W3 @ jax.nn.sigmoid(W2 @ jax.nn.sigmoid(W1 @ x)))[label]

    def step(weights: Any, sample: Any) -> Any:
        gradients = jax.grad(loss)(weights, *sample)
        return tuple(W - rate * gradient for W, gradient in zip(weights, gradients, strict=True)), None

    def epoch(weights: Any, X: Any, labels: Any) -> Any:
        return jax.lax.scan(step, weights, (X, labels))[0]

    weights = tuple(jnp.asarray(matrix) for matrix in task.weights_as("float32"))
    X, labels = jnp.asarray(task.x_train), jnp.asarray(task.train.labels)
    compiled = jax.jit(epoch).lower(weights, X, labels).compile()

    def train() -> Weights:
        return Weights(*(np.asarray(matrix) for matrix in compiled(weights, X, labels)))

    return train


def _compiled(weights: Weights) -> Engine:
    return CompiledEngine(weights, loss="cross_entropy")


def _compiled_squares(weights: Weights) -> Engine:
    return CompiledEngine(weights, loss="sum_of_squares")


def _numpy(weights: Weights) -> Engine:
    return NumPyEngine(weights, loss="cross_entropy")


def _by_notebook(name: str) -> Callable[[Weights], Engine]:
    return lambda weights: make_engine(name, weights, loss="cross_entropy", rule="notebook")


#: The first is what the others are compared with.
CONTENDERS = (
    Contender("compiled, float32", _engine(_compiled, "float32")),
    Contender("compiled, float32, shuffled", _engine(_compiled, "float32", shuffled=True)),
    Contender("compiled, float32, sum of squares", _engine(_compiled_squares, "float32")),
    Contender("compiled, float32, biases", _compiled_biases),
    Contender("compiled, float64", _engine(_compiled, "float64")),
    Contender("JAX lax.scan, float32", _jax, needs="jax"),
    Contender("NumPy + BLAS ger, float32", _numpy_and_blas),
    Contender("plain NumPy, float32", _engine(_numpy, "float32")),
    Contender("plain NumPy, float64", _engine(_numpy, "float64")),
    Contender("PyTorch, batch of 1, float32", _pytorch, needs="torch"),
    Contender("MLPClassifier, batch of 1, has biases", _scikit_learn, needs="scikit-learn"),
    Contender("notebook's rule, compiled, float64", _engine(_by_notebook("compiled"), "float64")),
    Contender("notebook's rule, plain NumPy, float64", _engine(_by_notebook("numpy"), "float64")),
    Contender("notebook's rule, row by row as printed", _notebook_code),
)
