"""The same weights to the bit on every CPU: training is chaotic, so anything less would soon show in the accuracy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.process

#: From AVX-512 down to what every x86-64 CPU has.
CPUS = ("host", "haswell", "skylake-avx512", "znver4", "generic")

#: Weights after 5 epochs at learning rate 0.1 over the first 2,000 training images, from seed 0.
KNOWN = {
    "float32": "d1a355d5fb1064ed69ffc0e8f40a6d4bf585e9d405858bbbf4024f502fde4a70",
    "float64": "84268e86b388f993d08244b7df1f9384b857b2d6b28f6ecf1acf9f32b5839873",
    "sum_of_squares": "10300c808dfbd7b4cc070d54cf2373693389279b4ec7d4a4e62424c48dbe5950",
    "notebook": "c01fa75f9391fc876bf33d06911be929a719e82f1c314f1dbe3ff295ecfd1f01",
}


def train_on(cpu: str, n_samples: int, folder: Path, cache_dir: Path) -> str:
    """Compile for this CPU in a new process, train, and return what it printed."""
    chosen = {} if cpu == "host" else {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.kernel_job", str(n_samples), str(cache_dir)],
        cwd=ROOT,
        env=os.environ | chosen | {"NUMBA_CACHE_DIR": str(folder / cpu)},
        capture_output=True,
        text=True,
        check=False,
    )
    # A newer instruction set than this machine's cannot run here.
    if run.returncode == -signal.SIGILL and cpu not in ("host", "generic"):
        pytest.skip(f"this machine cannot run code for {cpu}")
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(
    "cpu",
    [
        "host",
        *(pytest.param(cpu, marks=pytest.mark.slow(reason="compiles the kernel for another CPU")) for cpu in CPUS[1:]),
    ],
)
def test_a_short_job_has_the_known_weights_on_every_cpu(cpu: str, tmp_path: Path, cache_dir: Path) -> None:
    printed = train_on(cpu, 2000, tmp_path, cache_dir)
    assert {line.split()[0]: line.split()[1] for line in printed.splitlines()} == KNOWN


@pytest.mark.slow(reason="trains on all of MNIST for five CPUs")
def test_five_epochs_of_all_of_mnist_have_the_same_weights_on_every_cpu(tmp_path: Path, cache_dir: Path) -> None:
    printed = {cpu: train_on(cpu, 59_500, tmp_path, cache_dir) for cpu in CPUS}
    assert len(set(printed.values())) == 1, printed
