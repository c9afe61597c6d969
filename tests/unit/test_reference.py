"""The plain NumPy network: its gradients are the derivatives of its losses. The notebook's rule is the notebook's."""

from typing import get_args

import numpy as np
import pytest

from nn import reference
from nn.notebook import notebook_accuracy
from nn.options.network import Loss
from nn.reference import NumPyEngine
from nn.samples import pack
from nn.training import make_engine, predict
from nn.weights import Weights, initial_weights
from tests.support.literal_notebook import LiteralNotebook
from tests.support.networks import some_weights


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("loss", get_args(Loss))
@pytest.mark.parametrize("layer_sizes", [(7, 5, 3, 4), (3, 4, 6, 2), (2, 1, 1, 3)])
def test_every_gradient_is_the_central_difference_of_the_loss(
    loss: str, layer_sizes: tuple[int, int, int, int], biases: bool
) -> None:
    # Given a network, a sample with negative features, and its label
    weights = some_weights(layer_sizes, biases=biases)
    x = np.random.RandomState(1).randn(layer_sizes[0])
    y = np.eye(layer_sizes[3])[1]

    def loss_of(weights: Weights) -> float:
        output = reference.forward(weights, x)[-1]
        return float(-np.log(output) @ y if loss == "cross_entropy" else ((output - y) ** 2).sum())

    # When each weight, and each bias, in turn is moved up and down a little
    differences = Weights(*(np.empty_like(W) for W in weights))
    for W, difference in zip(weights, differences, strict=True):
        for place in np.ndindex(W.shape):
            kept = W[place]
            W[place] = kept + 1e-6
            above = loss_of(weights)
            W[place] = kept - 1e-6
            difference[place] = (above - loss_of(weights)) / 2e-6
            W[place] = kept

    # Then the loss changes as the gradient says
    gradients = reference.backward(weights, x, y, loss=loss)
    for gradient, difference in zip(gradients, differences, strict=True):
        np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-9)


def test_a_step_worked_out_by_hand() -> None:
    # Given one node in each hidden layer, one input and two classes
    weights = Weights(
        np.array([[1.0]]), np.array([[0.0]]), np.array([[2.0], [0.0]]),
        np.array([-3.0]), np.array([0.0]), np.array([-1.0, 0.0]),
    )  # fmt: skip

    # When the network takes a step for x = 3 of class 0, with a learning rate of 8
    x, y = np.array([3.0]), np.array([1.0, 0.0])
    gradients = reference.backward(weights, x, y, loss="cross_entropy")
    reference.update(weights, gradients, 8.0)

    # Then, forward: z1 = 3 - 3 = 0, a1 = 1/2; z2 = 0, a2 = 1/2; z3 = (2/2 - 1, 0) = (0, 0), p = (1/2, 1/2).
    # Back: the error of the output is (-1/2, 1/2), which b3 gets times -8.
    np.testing.assert_array_equal(weights.tensors["b3"], [-1.0 + 4.0, -4.0])
    # The error of layer 2 is 2 * -1/2 * a2 (1 - a2) = -1/4; that of layer 1 is the old W2 = 0 times that.
    np.testing.assert_array_equal(weights.tensors["b2"], [2.0])
    np.testing.assert_array_equal(weights.tensors["b1"], [-3.0])
    # W3 gets -8 * (-1/2, 1/2) * a2 = (2, -2), W2 gets -8 * -1/4 * a1 = 1, and W1 nothing.
    np.testing.assert_array_equal(weights.W3, [[2.0 + 2.0], [-2.0]])
    np.testing.assert_array_equal(weights.W2, [[1.0]])
    np.testing.assert_array_equal(weights.W1, [[1.0]])


def test_the_activations_do_not_overflow() -> None:
    np.testing.assert_array_equal(reference.sigmoid(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(reference.softmax(np.array([1e4, 0.0, 1e4])), [0.5, 0.0, 0.5])


@pytest.mark.parametrize("loss", get_args(Loss))
def test_an_epoch_is_a_step_for_each_sample_in_the_given_order(loss: str) -> None:
    # Given an engine, and the same weights held by hand
    random = np.random.RandomState(2)
    samples, order = pack(random.rand(20, 7), random.randint(0, 4, 20)), random.permutation(20)
    stepped = some_weights((7, 5, 3, 4))
    engine = NumPyEngine(stepped, loss=loss)

    # When one is trained for an epoch, and the other with a step for each sample
    engine.train_epoch(samples, 0.5, order)
    for row in order:
        x, y = samples.dense(row, np.dtype("float64")), np.eye(4)[samples.labels[row]]
        gradients = reference.backward(stepped, x, y, loss=loss)
        reference.update(stepped, gradients, 0.5)

    # Then they are the same
    for trained, expected in zip(engine.weights(), stepped, strict=True):
        np.testing.assert_array_equal(trained, expected)


SIZES = (9, 6, 5, 4)


@pytest.mark.parametrize("seed", [1, 3])
def test_it_trains_and_predicts_as_the_notebook_does(seed: int) -> None:
    # Given random samples, of which the notebook wants one-hot labels
    random = np.random.RandomState(0)
    X, labels = random.rand(200, 9), random.randint(0, 4, 200)
    one_hot = np.eye(4)[labels]
    literal = LiteralNotebook(SIZES, seed, 0.01)
    engine = make_engine(
        "numpy", initial_weights(SIZES, np.random.RandomState(seed), "float64"), loss="cross_entropy", rule="notebook"
    )

    for _ in range(3):
        literal.train(X, one_hot)
        engine.train_epoch(pack(X, labels), 0.01)

        for ours, theirs in zip(engine.weights(), (literal.W1, literal.W2, literal.W3), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
        predicted = predict(engine, pack(X, labels))
        assert notebook_accuracy(predicted, labels, 4) == pytest.approx(literal.accuracy(X, one_hot), abs=1e-9)


def test_the_notebooks_accuracy_depends_on_two_counts_only() -> None:
    # Given predictions of which 1,234 are 0 and 777 are 1, whatever the labels are
    random = np.random.RandomState(0)
    predictions = random.permutation(np.repeat(np.arange(4), [1234, 777, 3000, 5489]))
    labels = random.randint(0, 10, 10_500)
    assert notebook_accuracy(predictions, labels, 10) == pytest.approx((9 * 1234 + 777) / 1000, abs=1e-9)
