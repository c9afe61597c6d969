"""What the code finds by a path, a name in a text, or its own place in the tree, and would lose silently in a move."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from celery.worker.request import Request
from hatchling.builders.wheel import WheelBuilder
from kombu.utils.imports import symbol_by_name

from nn.datasets.mnist import BUNDLED
from orchestrator.sweeps.provenance import provenance
from tests.support.cluster import make_job
from tests.support.paths import ROOT
from worker.app import SeedsweepApp, create_app
from worker.messages import TRAIN, signature
from worker.redis.backend import LedgerBackend
from worker.settings import Settings

IDX_FILES = {
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
}

#: Prints the fingerprint of the kernel as it is, and after a change to each of its files, which is then undone.
FINGERPRINTS = """
from pathlib import Path
from nn.kernel import compile

def fingerprint():
    compile._environment.cache_clear()
    return compile._fingerprint("the same arguments")

print("unchanged", fingerprint())
for path in sorted(Path(compile.__file__).parent.glob("*.py")):
    content = path.read_bytes()
    path.write_bytes(content + b"#")
    print(path.name, fingerprint())
    path.write_bytes(content)
print("again", fingerprint())
"""


def test_a_change_to_any_kernel_source_changes_the_fingerprint_of_the_machine_code(tmp_path: Path) -> None:
    # Given a copy of the package
    shutil.copytree(ROOT / "nn", tmp_path / "nn", ignore=shutil.ignore_patterns("data", "__pycache__"))
    # When a byte is added to one file after another
    done = subprocess.run(
        [sys.executable, "-c", FINGERPRINTS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = dict(line.split() for line in done.stdout.splitlines())
    unchanged, again = found.pop("unchanged"), found.pop("again")
    # Then each change gives another fingerprint, and no source was left out
    assert unchanged == again
    assert len({unchanged, *found.values()}) == 1 + len(found)
    assert found.keys() == {path.name for path in (ROOT / "nn" / "kernel").iterdir() if path.suffix == ".py"}
    assert {"engine.py", "epoch.py", "layers.py", "vectors.py", "compile.py"} <= found.keys()


@pytest.fixture(scope="module")
def app() -> SeedsweepApp:
    return create_app(Settings())


def test_class_paths_that_are_text_lead_to_classes(app: SeedsweepApp) -> None:
    steps = {symbol_by_name(step).__name__ for blueprint in ("worker", "consumer") for step in app.steps[blueprint]}
    assert steps == {
        "PreloadStep", "StopStep", "BreakerStep", "GuardStep", "LeaseStep", "PollStep", "PresenceStep", "RefusalStep",
        "WatchdogStep",
    }  # fmt: skip
    assert isinstance(app.backend, LedgerBackend)
    request = symbol_by_name(app.tasks[TRAIN].Request)
    assert issubclass(request, Request)
    assert request is not Request


def test_the_tasks_name_on_the_wire_is_what_it_was(app: SeedsweepApp) -> None:
    assert TRAIN == app.tasks[TRAIN].name == signature(app, make_job()).task == "worker.tasks.train"


def test_provenance_finds_the_checkout() -> None:
    assert (ROOT / ".git").exists()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert provenance().git_commit == head.stdout.strip()


def test_the_bundled_data_is_where_the_code_looks_for_it() -> None:
    assert {path.name for path in BUNDLED.glob("*.gz")} == IDX_FILES
    for name in IDX_FILES:
        with gzip.open(BUNDLED / name) as file:
            assert file.read(2) == b"\0\0"


def test_a_wheel_holds_the_bundled_data_every_module_and_what_pages_are_made_of() -> None:
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    data = BUNDLED.relative_to(ROOT)
    assert {f"{data}/{name}" for name in IDX_FILES} <= files
    modules = {
        str(path.relative_to(ROOT))
        for layer in ("nn", "worker", "orchestrator")
        for path in (ROOT / layer).rglob("*")
        if path.suffix in (".py", ".html", ".css", ".js")
    }
    assert "orchestrator/report/page/templates/main.html" in modules
    assert modules <= files
