"""A trained network's file in PyTorch, by the very lines that docs/results/notebook.md shows.

PyTorch is no dependency of ours: these tests skip without it, and `make test-torch` runs them with Debian's.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn.datasets.mnist import load_mnist
from nn.network import DeepNeuralNetwork
from nn.weights import to_safetensors
from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

PAGE = ROOT / "docs" / "results" / "notebook.md"


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_pages_example_predicts_as_we_do(tmp_path: Path, cache_dir: Path, dtype: str, biases: bool) -> None:
    # Given a network that we trained and saved,
    mnist = load_mnist(cache_dir=cache_dir)
    network = DeepNeuralNetwork(epochs=1, dtype=dtype, biases=biases, random_state=0).fit(mnist.train)
    (tmp_path / "digits.safetensors").write_bytes(to_safetensors(network.weights_))

    # when the page's lines read it
    (example,) = re.findall(r"```python\n(import torch\n.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"images": torch.from_numpy(mnist.validation.to_dense().astype(dtype))}
    exec(compile(example.replace("digits.safetensors", str(tmp_path / "digits.safetensors")), str(PAGE), "exec"), names)  # noqa: S102

    # then every validation image is predicted alike, with the same probabilities but for rounding
    probabilities = names["probabilities"].numpy()
    assert np.array_equal(probabilities.argmax(axis=1), network.predict(mnist.validation))
    assert (
        np.abs(probabilities - network.predict_proba(mnist.validation)).max()
        < {"float32": 1e-5, "float64": 1e-12}[dtype]
    )
