"""Compiled code is kept on disk for the next process; when it cannot be, that costs time and nothing else."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.paths import ROOT

JOB = """
import logging, sys
import numpy as np
logging.basicConfig(level=logging.WARNING, format="%(message)s")
from nn.kernel.engine import CompiledEngine
from nn.samples import pack
from nn.weights import initial_weights
samples = pack(np.random.RandomState(1).rand(50, 7), np.arange(50) % 4)
engine = CompiledEngine(initial_weights((7, 5, 3, 4), np.random.RandomState(0), "float32"), loss="cross_entropy")
engine.train_epoch(samples, 0.3)
print("weights", engine.weights().W1.tobytes().hex())
"""

#: As if on a host of another kind.
ELSEWHERE = """
import llvmlite.binding
llvmlite.binding.get_host_cpu_name = lambda: "nehalem"
"""

WARNING = "so that each start compiles again"


def train(
    cache: Path, *, root: Path = ROOT, job: str = JOB, before: Callable[[], None] | None = None, **variables: str
) -> list[str]:
    """Train in a new process, and return the lines that it printed on both streams."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "NUMBA_DEBUG_CACHE": "1"} | variables
    run = subprocess.run(
        [sys.executable, "-c", job],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout.splitlines()


def weights(lines: list[str]) -> str:
    (line,) = (line for line in lines if line.startswith("weights "))
    return line


def count(lines: list[str], text: str) -> int:
    return sum(text in line for line in lines)


def copy_of_the_package(folder: Path) -> Path:
    shutil.copytree(ROOT / "nn", folder / "nn", ignore=shutil.ignore_patterns("data", "__pycache__"))
    return folder


@pytest.mark.slow(reason="compiles the kernel twice")
def test_the_next_process_compiles_nothing(tmp_path: Path) -> None:
    # Given a copy of the package, and its compiled code
    copy, cache = copy_of_the_package(tmp_path / "copy"), tmp_path / "cache"
    first = train(cache, root=copy)
    assert count(first, "data saved") == 1

    # Then the next process takes that
    second = train(cache, root=copy)
    assert (count(second, "data loaded"), count(second, "data saved")) == (1, 0)
    assert weights(first) == weights(second)


@pytest.mark.slow(reason="compiles the kernel several times")
def test_code_is_kept_by_cpu_and_serves_another_host_only_for_a_chosen_one(tmp_path: Path) -> None:
    # Given code for the host's CPU, and beside it for a chosen one
    chosen = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    train(tmp_path)
    train(tmp_path, **chosen)
    assert [len(list(tmp_path.rglob(kind))) for kind in ("*.nbc", "*.nbi")] == [2, 2]

    # Then a host of another kind takes the second, and not the first
    assert count(train(tmp_path, job=ELSEWHERE + JOB, **chosen), "data loaded") == 1
    assert count(train(tmp_path, job=ELSEWHERE + JOB), "data loaded") == 0


@pytest.mark.slow(reason="compiles the kernel several times")
def test_a_read_only_installation_and_home_cost_time_only(tmp_path: Path) -> None:
    # Given an installation whose cache folder cannot be made, and no home to write to. (Files in the way stop even
    # root, whom permissions do not.)
    copy = copy_of_the_package(tmp_path / "copy")
    (copy / "nn" / "kernel" / "__pycache__").write_text("a file, not a folder")
    (tmp_path / "home").write_text("a file, not a folder")
    home = str(tmp_path / "home" / "folder")

    # When a network is trained there
    lines = train(Path(), root=copy, NUMBA_CACHE_DIR="", HOME=home, XDG_CACHE_HOME=home)

    # Then it says so, and trains as anywhere
    assert count(lines, WARNING) == 1
    assert weights(lines) == weights(train(tmp_path / "cache"))


@pytest.mark.slow(reason="compiles the kernel several times")
@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.write_bytes(file.read_bytes()[:100]),
        lambda file: file.parent.chmod(0o777),
        lambda file: file.chmod(0o666),
        lambda file: (file.rename(file.with_name("own")), file.symlink_to("own")),
    ],
    ids=["damaged", "in a folder of others", "of others", "a link"],
)
def test_damaged_files_and_those_of_others_cost_time_only(
    kind: str, harm: Callable[[Path], object], tmp_path: Path
) -> None:
    good = train(tmp_path)
    (file,) = tmp_path.rglob(kind)
    harm(file)
    lines = train(tmp_path)
    assert (count(lines, WARNING), count(lines, "data loaded")) == (1, 0)
    assert str(file.parent) in "".join(lines)
    assert weights(lines) == weights(good)


@pytest.mark.slow(reason="compiles the kernel several times")
def test_a_full_disk_costs_time_only(tmp_path: Path) -> None:
    lines = train(tmp_path, before=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (10_000, 10_000)))
    assert count(lines, WARNING) == 1
    # The next process finds nothing half written.
    assert weights(train(tmp_path)) == weights(lines)
