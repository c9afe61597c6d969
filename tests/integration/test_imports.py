"""What a start does not wait for: each of these Pythons loads no module that its work does not need."""

import subprocess
import sys
from pathlib import Path

import pytest

from nn.datasets.mnist import load_mnist
from tests.support.paths import ROOT

OPTIONS = "nn.options.network, nn.options.describe, orchestrator.sweeps.fields"
ROOMS = ("intervals", "images", "pairs", "difference", "best", "boundaries")
#: What is run, and the packages that it does not load.
PROGRAMS = {
    "errors": ("import nn.errors", {"numpy", "numba", "sklearn"}),
    "options": (f"import {OPTIONS}", {"numpy", "numba", "sklearn", "celery", "redis"}),
    "a prepared data set": (
        "import pathlib, nn.datasets.mnist; nn.datasets.mnist.load_mnist(cache_dir=pathlib.Path(sys.argv[1]))",
        {"sklearn", "scipy"},
    ),
    "statistics": ("import " + ", ".join(f"orchestrator.analysis.statistics.{room}" for room in ROOMS), {"scipy"}),
    "help": (
        "import orchestrator.cli.main",
        {"celery", "kombu", "numpy", "pydantic", "redis", "rich", "sklearn", "numba"},
    ),
    "scikit-learn's options": (
        "from worker.trainers.sklearn.trainer import SklearnTrainer; SklearnTrainer().options_for({})",
        {"numpy", "scipy", "sklearn"},
    ),
    "a sweep, before the embedded cluster starts": ("import orchestrator.cli.sweep", {"celery", "kombu", "redis"}),
    "a trainer": ("from seedsweep import Trainer, Metric, check_trainer", {"orchestrator"}),
}


@pytest.mark.parametrize(("program", "absent"), PROGRAMS.values(), ids=PROGRAMS)
def test_it_is_not_imported(program: str, absent: set[str], cache_dir: Path) -> None:
    load_mnist(cache_dir=cache_dir)
    command = [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)", str(cache_dir)]

    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert {"nn", "orchestrator"} & set(loaded)
    assert not absent & set(loaded)
