"""The same weights to the bit on every CPU: training is chaotic, so anything less would soon show in the accuracy."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nn.datasets.mnist import load_mnist
from tests.support.emulation import Arm64, require
from tests.support.kernel_jobs import JOBS, KNOWN, sha256
from tests.support.paths import ROOT

_X86_64 = platform.machine() == "x86_64"
#: From AVX-512 down to what every x86-64 CPU has. LLVM compiles for a CPU of this machine's kind only.
CPUS = ("haswell", "skylake-avx512", "znver4", "generic") if _X86_64 else ("generic",)
only_x86_64 = pytest.mark.skipif(not _X86_64, reason="concerns x86-64")
MODULE = "tests.support.kernel_jobs"


def train_on(
    cpu: str, n_samples: int, folder: Path, cache_dir: Path, *, emulator: Sequence[str] = (), **variables: str
) -> str:
    """Compile for this CPU in a new process, train, and return what it printed."""
    chosen = {} if cpu == "host" else {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    run = subprocess.run(
        [*emulator, sys.executable, "-m", MODULE, str(n_samples), str(cache_dir)],
        cwd=ROOT,
        env=os.environ | chosen | {"NUMBA_CACHE_DIR": str(folder / cpu)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    # A newer instruction set than this machine's cannot run here.
    if run.returncode == -signal.SIGILL and cpu not in ("host", "generic"):
        pytest.skip(f"this machine cannot run code for {cpu}")
    assert run.returncode == 0, run.stderr
    return run.stdout


def weights_of(printed: str) -> dict[str, str]:
    return {line.split()[0]: line.split()[1] for line in printed.splitlines()}


@pytest.mark.parametrize("name", JOBS)
def test_a_short_job_has_the_known_weights_on_this_cpu(name: str, cache_dir: Path) -> None:
    samples = load_mnist(cache_dir=cache_dir).train.first(2000)

    assert sha256(JOBS[name].train(samples).weights()) == KNOWN[name]


@pytest.mark.slow(reason="compiles the kernel for another CPU")
@pytest.mark.parametrize("cpu", CPUS)
def test_a_short_job_has_the_known_weights_on_every_cpu(cpu: str, tmp_path: Path, cache_dir: Path) -> None:
    assert weights_of(train_on(cpu, 2000, tmp_path, cache_dir)) == KNOWN


@only_x86_64
@pytest.mark.slow(reason="compiles the kernel")
def test_the_c_librarys_mathematics_does_not_matter(tmp_path: Path, cache_dir: Path) -> None:
    """Without FMA, glibc takes other versions of `log`, `exp` and so on, which differ in the last bit."""
    plain = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4"}

    assert weights_of(train_on("host", 2000, tmp_path, cache_dir, **plain)) == KNOWN


@only_x86_64
@pytest.mark.timeout(3600)
@pytest.mark.slow(reason="emulates another CPU: about two minutes")
def test_a_cpu_without_fma(tmp_path: Path, cache_dir: Path) -> None:
    require("qemu-x86_64")

    assert weights_of(train_on("host", 2000, tmp_path, cache_dir, emulator=("qemu-x86_64", "-cpu", "Nehalem"))) == KNOWN


@pytest.mark.timeout(3600)
@pytest.mark.slow(reason="installs Debian and all packages for ARM64, and emulates it: about four minutes")
def test_arm64(tmp_path: Path, cache_dir: Path) -> None:
    """Every pinned package has a wheel, the weights are the known ones, and an image gets its compiled kernel."""
    machine = Arm64(tmp_path)
    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}

    printed = machine.run("-m", MODULE, "2000", str(cache_dir), **generic, NUMBA_CACHE_DIR=str(tmp_path / "job"))
    assert weights_of(printed) == KNOWN

    machine.run("docker/warm.py", str(tmp_path / "image"))
    # The epoch and the forward pass, for the one target.
    assert len(list((tmp_path / "image").rglob("*.nbc"))) == 2


@pytest.mark.slow(reason="trains on all of MNIST for every CPU that LLVM compiles for here")
def test_five_epochs_of_all_of_mnist_have_the_same_weights_on_every_cpu(tmp_path: Path, cache_dir: Path) -> None:
    printed = {cpu: train_on(cpu, 59_500, tmp_path, cache_dir) for cpu in ("host", *CPUS)}
    assert len(set(printed.values())) == 1, printed
