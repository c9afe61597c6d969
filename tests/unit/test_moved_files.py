"""What the code finds by a path, a name in a text, or its own place in the tree, and would lose silently in a move."""

import shutil
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from nn.datasets.mnist import BUNDLED
from nn.kernel import engine as compiling
from tests.support.paths import ROOT


def test_a_change_to_any_kernel_source_changes_the_fingerprint_of_the_machine_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a copy of the package
    copy = tmp_path / "kernel"
    shutil.copytree(ROOT / "nn" / "kernel", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compiling, "__file__", str(copy / "engine.py"))
    # The kernel's own fingerprint is remembered by a cache.
    fingerprint = compiling._environment.__wrapped__
    unchanged = fingerprint()
    # When a byte is added to one file after another
    found = {}
    for path in copy.glob("*.py"):
        content = path.read_bytes()
        path.write_bytes(content + b"#")
        found[path.name] = fingerprint()
        path.write_bytes(content)
    # Then each change gives another fingerprint, and no source was left out
    assert fingerprint() == unchanged
    assert len({unchanged, *found.values()}) == 1 + len(found)
    assert {"engine.py", "epoch.py", "vectors.py"} <= found.keys()


def test_a_wheel_holds_the_bundled_data_every_module_and_what_pages_are_made_of() -> None:
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    data = {str(path.relative_to(ROOT)) for path in BUNDLED.glob("*.gz")}
    assert len(data) == len(data & files) == 4
    modules = {
        str(path.relative_to(ROOT))
        for layer in ("nn", "worker", "orchestrator", "seedsweep")
        for path in (ROOT / layer).rglob("*")
        if path.suffix in (".py", ".typed", ".html", ".css", ".js")
    }
    assert {"orchestrator/report/page/templates/main.html", "seedsweep/py.typed"} <= modules
    assert modules <= files
