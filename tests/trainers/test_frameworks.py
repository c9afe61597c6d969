"""The pages jax, lightgbm and pytorch of docs/how-to, executed: checked, trained, killed, resumed, trained again.

JAX and LightGBM are installed beside this environment, once. PyTorch's wheels for Linux have gigabytes of CUDA, so that
`make test-torch` executes its page, with Debian's PyTorch.
"""

import fcntl
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.own_trainer import install_source
from tests.support.paths import ROOT
from tests.support.waiting import wait_for

PACKAGES = ROOT / "build" / "frameworks"
REQUIREMENTS = ROOT / "requirements-frameworks.txt"
#: For each page, the trainer's class, epochs that take a while, and the threads of a job.
PAGES = {"jax": ("JaxTrainer", 4000, 1), "lightgbm": ("LightGBMTrainer", 60, 2), "pytorch": ("PyTorchTrainer", 300, 1)}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "how-to" / f"{page}.md").read_text(), re.DOTALL)


def installed() -> str:
    """Install the packages, unless they are there, and return their folder."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    done = PACKAGES / "installed.txt"
    with (PACKAGES.parent / "frameworks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != REQUIREMENTS.read_text():
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--require-hashes")
            words = (*pip, "--target", str(PACKAGES), "-r", str(REQUIREMENTS))
            found = subprocess.run(words, capture_output=True, text=True, check=False)
            if found.returncode != 0:
                said = f"JAX and LightGBM cannot be installed: {found.stderr[-300:]}"
                pytest.fail(said) if os.environ.get("CI") else pytest.skip(said)
            done.write_text(REQUIREMENTS.read_text())
    return str(PACKAGES)


@pytest.fixture
def environment(page: str, tmp_path: Path) -> dict[str, str]:
    """The environment in which the framework and the page's trainer are found."""
    if page == "pytorch" and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed: make test-torch")
    path = [] if page == "pytorch" else [installed()]
    source, _check = blocks(page, "python")
    folder = tmp_path / "site"
    made, _, threads = PAGES[page]
    install_source(folder, page, f"from seedsweep_{page} import {made}", made)
    (folder / f"seedsweep_{page}.py").write_text(source)
    variables = {"PYTHONPATH": os.pathsep.join([str(folder), *path]), "SEEDSWEEP_THREADS": str(threads)}
    # Threads that wait actively take the processors from those for which they wait.
    return variables | {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.slow(reason="installs frameworks, imports them in many processes, and waits for a lease")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_true(page: str, environment: dict[str, str], cluster: Cluster, command_line: CommandLine) -> None:
    # The trainer keeps its promises,
    check = blocks(page, "python")[1].replace("options=", f"threads={PAGES[page][2]}, options=")
    # Debian's PyTorch may come with a numexpr that pandas finds too old.
    words = (sys.executable, "-W", "error", "-W", "ignore:Pandas requires", "-c", check)
    checked = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    # and the page's commands end well.
    install, sweep = blocks(page, "sh")
    assert install.startswith("pip install ")
    for line in sweep.splitlines():
        command_line.run(*shlex.split(line)[1:], **environment)
    assert {row["status"] for row in command_line.rows(page)} == {"succeeded"}
    # Several threads may change the bits.
    assert {row["environment"].endswith(", 2 threads") for row in command_line.rows(page)} == {PAGES[page][2] == 2}
    # Given a sweep on a cluster whose worker is killed in the middle of a job
    variables = {"SEEDSWEEP_TRAINER": page, "SEEDSWEEP_CHECKPOINT_SECONDS": "0.5", **environment}
    worker = cluster.start_worker(**variables)
    long = ("--trainer", page, "--set", f"epochs={PAGES[page][1]}", "--seeds", "0", "--name", "long")
    sweeping = command_line.start("sweep", *long, "--broker", cluster.server.url, **environment)
    client = cluster.server.client()
    wait_for(lambda: list(client.scan_iter("seedsweep:checkpoint:*")), "a checkpoint", timeout=120, report=cluster.logs)
    worker.kill()
    # When another one takes over, then it goes on from the checkpoint, and the job has the bits of a straight one.
    other = cluster.start_worker(name="w2", **variables)
    command_line.end(sweeping)
    assert "Resumes after epoch" in other.text()
    assert "Verified: 1 job" in command_line.run("verify", "long", **environment).stdout
