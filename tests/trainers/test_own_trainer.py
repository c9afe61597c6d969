"""docs/how-to/own-trainer.md, executed: built, installed into a new environment, trained, killed, resumed, verified."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import outside
from tests.support.own_trainer import DOCUMENT, EXAMPLE, EXAMPLE_SOURCE, OFFLINE, document_block
from tests.support.paths import ROOT
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker.trainers.checks import checks

#: Trains the jobs of the rows in straight lines, without a worker.
STRAIGHT = """
import hashlib, json, sys
from pathlib import Path
from seedsweep_softmax import SoftmaxOptions, SoftmaxTrainer

trainer = SoftmaxTrainer()
data = trainer.load("digits", Path("."))
for seed, options in json.load(sys.stdin):
    values = []
    trained = trainer.train(SoftmaxOptions(**options), seed, data, on_epoch=lambda value, *_: values.append(value))
    print(json.dumps([hashlib.sha256(trained.artifact).hexdigest(), values]))
"""


def test_the_document_shows_the_source() -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)

    assert len(blocks) >= 3
    for block in blocks:
        assert block in EXAMPLE_SOURCE
    assert document_block("toml") in (EXAMPLE / "pyproject.toml").read_text()


def test_the_document_lists_every_check() -> None:
    text = DOCUMENT.read_text()

    assert [line for line in text.splitlines() if line.startswith(tuple(f"| `{name}`" for name in checks()))] == [
        f"| `{name}` | {what} |" for name, what in checks().items()
    ]


#: A program that mypy accepts if the installed interface has types, and only the names that it publishes.
TYPED = """
from typing import assert_type
import seedsweep
assert_type(seedsweep.open().leaderboard()[0].mean, float | None)
seedsweep.no_such_name()  # type: ignore[attr-defined]
"""


class Walk:
    """Executes the steps of the document, in a folder that has the example and nothing else of the sources.

    It has a virtual environment with Seedsweep as a wheel; all other packages are those that run the tests.

    Args:
        folder: The folder.
        server: What the document's Redis stands for.
        cache_dir: Where prepared data is kept.
    """

    def __init__(self, folder: Path, server: RedisServer, cache_dir: Path) -> None:
        self.folder = folder
        self._url = server.url
        made = folder / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
        (site,) = made.glob("lib/python*/site-packages")
        # Python reads no .pth file there, so that the sources, which are installed as editable, are not found.
        (site / "packages.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))
        for command in ("pip", "celery"):
            (made / "bin" / command).write_text(f'#!/bin/sh\nexec "{made}/bin/python" -m {command} "$@"\n')
            (made / "bin" / command).chmod(0o755)
        shutil.copytree(EXAMPLE, folder / "examples" / "own_trainer", ignore=shutil.ignore_patterns("__pycache__"))
        self._environment = outside("PYTHON", "CELERY_", "SEEDSWEEP_") | {
            **OFFLINE,
            "PATH": f"{made / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(made),
            "SEEDSWEEP_CACHE_DIR": str(cache_dir),
            "SEEDSWEEP_LEASE_SECONDS": "3",
            "SEEDSWEEP_RESTORE_SECONDS": "0.5",
            "SEEDSWEEP_CHECKPOINT_SECONDS": "0.3",
            "TMPDIR": str(server.folder),
            "COLUMNS": "200",
        }
        self._started: list[subprocess.Popen[bytes]] = []
        self.finish(["pip", "install", "--quiet", "--no-deps", str(ROOT)], "the installation")

    def command(self, step: str) -> list[str]:
        # Fewer and shorter jobs, and checkpoints in proportion, so that the test takes no minutes.
        block = document_block("sh", step).replace("epochs=20000 --seeds 0-1", "epochs=1500 --seeds 0")
        return ["bash", "-ec", block.replace("redis://localhost:6379/0", self._url)]

    def run(self, step: str, *, stdin: str = "") -> str:
        """Execute a step to its end."""
        return self.finish(self.command(step), step, stdin)

    def finish(self, command: list[str], name: str, stdin: str = "") -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, input=stdin, capture_output=True, text=True, timeout=280,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, step: str, name: str) -> subprocess.Popen[bytes]:
        """Start a step whose output goes into a log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            started = subprocess.Popen(
                self.command(step), cwd=self.folder, env=self._environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._started.append(started)
        return started

    def text(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a step and all that it started, at once."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "runs" / name / "results.jsonl").read_text().splitlines()]

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                self.kill(process)


@pytest.fixture
def walk(tmp_path: Path, redis_server: RedisServer, cache_dir: Path) -> Iterator[Walk]:
    with contextlib.closing(Walk(tmp_path, redis_server, cache_dir)) as made:
        yield made


@pytest.mark.slow(reason="a whole walk: two wheels, an environment, sweeps, a worker that is killed, and its lease")
@pytest.mark.timeout(900)
def test_the_walk(walk: Walk, redis_server: RedisServer) -> None:
    # The example keeps its promises, and is installed
    assert "1 passed" in walk.run("check")
    assert "softmax, version 1" in walk.run("install")
    # Its author's programs are checked with the interface's types
    (walk.folder / "typed.py").write_text(TYPED)
    walk.finish(["python", "-m", "mypy", "--strict", "typed.py"], "mypy")
    # A sweep on the embedded cluster
    walk.run("sweep")
    assert [row["status"] for row in walk.rows("softmax")] == ["succeeded"] * 6
    # Given a sweep on a cluster whose worker is killed in the middle of a job, and the sweep with it
    worker = walk.start("worker", "first-worker")
    sweep = walk.start("long", "long")
    client = redis_server.client()
    wait_for(
        lambda: list(client.scan_iter("seedsweep:checkpoint:*")),
        "a checkpoint",
        timeout=60,
        report=lambda: walk.text("first-worker") + walk.text("long"),
    )
    walk.kill(worker)
    walk.kill(sweep)
    # When another worker is there, and the sweep is resumed
    walk.start("worker", "second-worker")
    walk.run("resume")
    # Then the job went on from its checkpoint, and all rows are those of straight trainings, to the bit
    assert re.search(r"Resumes after epoch \d+", walk.text("second-worker"))
    rows = walk.rows("long")
    assert len(rows) == 2
    assert straight(walk, rows) == [[row["weights_sha256"], row["validation_score"]] for row in rows]
    # And training them again finds no difference
    walk.run("verify")


def straight(walk: Walk, rows: list[dict[str, Any]]) -> list[Any]:
    """Return the SHA-256 of the artifact and the metrics of each row's job, trained without a worker."""
    jobs = json.dumps([[row["seed"], row["options"]] for row in rows])
    one_thread = "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
    (walk.folder / "straight.py").write_text(STRAIGHT)
    told = walk.finish(["bash", "-ec", f"{one_thread} python straight.py"], "straight training", jobs)
    return [json.loads(line) for line in told.splitlines()]
