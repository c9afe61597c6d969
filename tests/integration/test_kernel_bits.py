"""The same weights to the bit on every CPU: training is chaotic, so anything less would soon show in the accuracy."""

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nn.datasets.mnist import load_mnist
from tests.support.kernel_jobs import JOBS, KNOWN, sha256
from tests.support.paths import ROOT
from tests.support.redis_server import require

_X86_64 = platform.machine() == "x86_64"
#: From AVX-512 down to what every x86-64 CPU has. LLVM compiles for a CPU of this machine's kind only.
CPUS = ("haswell", "skylake-avx512", "znver4", "generic") if _X86_64 else ("generic",)
only_x86_64 = pytest.mark.skipif(not _X86_64, reason="concerns x86-64")
MODULE = "tests.support.kernel_jobs"
#: What is known of as many samples as an emulated CPU has time for.
SHORT = {2000: KNOWN[2000]}
#: The platforms of the wheels that Debian's ARM64 can run, newest first.
WHEELS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
#: What the packages need besides Debian's smallest system.
DEBIAN_PACKAGES = "python3,libstdc++6,libgomp1"


def require_emulation(*programs: str) -> None:
    """Skip the test if a program is not installed; in CI, fail it."""
    for program in programs:
        require(shutil.which(program), f"{program} (Debian's qemu-user and debootstrap)")


def output_of(command: Sequence[str], *, needs: str = "", **variables: str) -> str:
    """Return what a command printed. Skip the test if this machine cannot run code for the CPU that it needs."""
    run = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    if needs and run.returncode == -signal.SIGILL:
        pytest.skip(f"this machine cannot run code for {needs}")
    assert run.returncode == 0, f"{command[0]} ended with {run.returncode}: {run.stdout[-2000:]}{run.stderr[-2000:]}"
    return run.stdout


class Arm64:
    """ARM64 emulated by qemu, with Debian's Python and the locked packages. It can fork, but not start programs.

    Args:
        folder: Where Debian and the packages are installed: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        require_emulation("qemu-aarch64", "debootstrap")
        self._root, self._packages = folder / "root", folder / "packages"
        self._install_debian()
        (self._python,) = (self._root / "usr/bin").glob("python3.??")
        self._install_packages()

    def run(self, *arguments: str, **environment: str) -> str:
        """Run Python, with our sources and the packages to import from, and return what it printed."""
        command = ["qemu-aarch64", "-L", str(self._root), str(self._python), *arguments]
        return output_of(command, PYTHONPATH=f"{ROOT}:{self._packages}", **environment)

    def _install_debian(self) -> None:
        suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
        options = ("--arch=arm64", "--variant=minbase", "--foreign", f"--include={DEBIAN_PACKAGES}")
        output_of(["debootstrap", *options, suite, str(self._root)])
        # Unpacked only: configuring the packages would start programs.
        for package in sorted((self._root / "var/cache/apt/archives").glob("*.deb")):
            output_of(["dpkg-deb", "--extract", str(package), str(self._root)])

    def _install_packages(self) -> None:
        """Install every pinned package from a wheel: a package without one for ARM64, or without its hash, fails."""
        platforms = [word for name in WHEELS for word in ("--platform", name)]
        options = (
            "--only-binary=:all:", "--no-deps", "--no-compile", "--require-hashes", "--quiet",
            "--disable-pip-version-check",
        )  # fmt: skip
        version = self._python.name.removeprefix("python")
        requirements = ("--requirement", str(ROOT / "requirements.txt"))
        output_of([
            sys.executable, "-m", "pip", "install", *options, *platforms, "--python-version", version,
            "--target", str(self._packages), *requirements,
        ])  # fmt: skip


def train_on(
    cpu: str, folder: Path, cache_dir: Path, *n_samples: int, emulator: Sequence[str] = (), **variables: str
) -> str:
    """Compile for this CPU in a new process, train on each number of samples, and return what it printed."""
    variables["NUMBA_CACHE_DIR"] = str(folder / cpu)
    if cpu != "host":
        variables |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    command = [*emulator, sys.executable, "-m", MODULE, str(cache_dir), *map(str, n_samples)]
    return output_of(command, needs="" if cpu in ("host", "generic") else cpu, **variables)


def weights_of(printed: str) -> dict[int, dict[str, str]]:
    """The weights' SHA-256 by number of samples and by job."""
    found: dict[int, dict[str, str]] = {}
    for n_samples, name, weights, _ in map(str.split, printed.splitlines()):
        found.setdefault(int(n_samples), {})[name] = weights
    return found


@pytest.mark.parametrize("name", JOBS)
def test_a_short_job_has_the_known_weights_on_this_cpu(name: str, cache_dir: Path) -> None:
    samples = load_mnist(cache_dir=cache_dir).train.first(2000)

    assert sha256(JOBS[name].train(samples).weights()) == KNOWN[2000][name]


@pytest.mark.slow(reason="compiles the kernel for another CPU, and trains it on all of MNIST")
@pytest.mark.parametrize("cpu", CPUS)
def test_jobs_have_the_same_weights_on_every_cpu(cpu: str, tmp_path: Path, cache_dir: Path) -> None:
    assert weights_of(train_on(cpu, tmp_path, cache_dir, *KNOWN)) == KNOWN


@only_x86_64
@pytest.mark.slow(reason="compiles the kernel")
def test_the_c_librarys_mathematics_does_not_matter(tmp_path: Path, cache_dir: Path) -> None:
    """Without FMA, glibc takes other versions of `log`, `exp` and so on, which differ in the last bit."""
    plain = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4"}

    assert weights_of(train_on("host", tmp_path, cache_dir, 2000, **plain)) == SHORT


@only_x86_64
@pytest.mark.slow(reason="emulates another CPU: half a minute")
def test_a_cpu_without_fma(tmp_path: Path, cache_dir: Path) -> None:
    """The kernel is compiled before, which the emulator would take minutes for; that the code is taken is seen too."""
    require_emulation("qemu-x86_64")
    cpu = "nehalem"
    assert weights_of(train_on(cpu, tmp_path, cache_dir, 2000)) == SHORT
    compiled = sorted((tmp_path / cpu).rglob("*.nbc"))

    # NumPy's OpenBLAS, which the kernel does not use, takes some emulated CPUs for newer ones, and crashes.
    emulator, blas = ("qemu-x86_64", "-cpu", "Nehalem"), {"OPENBLAS_CORETYPE": "Nehalem"}
    emulated = train_on(cpu, tmp_path, cache_dir, 2000, emulator=emulator, **blas)

    assert weights_of(emulated) == SHORT
    assert sorted((tmp_path / cpu).rglob("*.nbc")) == compiled


@pytest.mark.timeout(3600)
@pytest.mark.slow(reason="installs Debian and all packages for ARM64, and emulates it: about four minutes")
def test_arm64(tmp_path: Path, cache_dir: Path) -> None:
    """Every pinned package has a wheel, an image gets its compiled kernel and uses it, and the weights are known."""
    machine = Arm64(tmp_path)
    image = tmp_path / "image"

    machine.run("docker/warm.py", str(image))
    # The epoch and the forward pass, for the one target.
    warm = {path: path.stat().st_mtime_ns for path in image.rglob("*.nbc")}
    assert len(warm) == 2

    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(image)}
    assert weights_of(machine.run("-m", MODULE, str(cache_dir), "2000", **generic)) == SHORT
    # None of the image's was compiled again.
    assert {path: path.stat().st_mtime_ns for path in warm} == warm
