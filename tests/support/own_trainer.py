"""The example of `examples/own_trainer/`, installed as its user installs it: a wheel, and an entry point."""

import contextlib
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.paths import ROOT
from worker.trainers import registry

EXAMPLE = ROOT / "examples" / "own_trainer"
EXAMPLE_SOURCE = (EXAMPLE / "seedsweep_softmax.py").read_text()
DOCUMENT = ROOT / "docs" / "how-to" / "own-trainer.md"
#: No test downloads anything: packages are built by what is installed, and for what is installed. pip reads the first
#: variable the other way round: "no" to "no build isolation: false".
OFFLINE = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

#: Begins the source of a trainer that needs no data.
WITHOUT_DATA = """
from pydantic import BaseModel, ConfigDict, Field
from seedsweep import Metric, Trained, Trainer

class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

class Data:
    digest = "d" * 64

class WithoutData(Trainer):
    data, datasets = "any", ("any",)

    def load(self, source, cache_dir):
        return Data()
"""


def document_block(language: str, walk: str = "") -> str:
    """Return the document's first block in a language, or the one that is marked as a step of the walk."""
    mark = rf"<!-- walk: {walk} -->\n" if walk else ""
    found = re.search(rf"{mark}```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found, f"{DOCUMENT.name} has no block {language} {walk}"
    return found[1]


def install_example(folder: Path) -> None:
    """Install the example into a folder that becomes part of the path of its users, unless it is there."""
    if any(folder.glob("*.dist-info")):
        return
    words = ("install", "--quiet", "--no-deps", "--target", str(folder), str(EXAMPLE))
    subprocess.run([sys.executable, "-m", "pip", *words], env=os.environ | OFFLINE, check=True, capture_output=True)


def install_source(folder: Path, name: str, source: str, made: str) -> Path:
    """Write the package of a trainer into a folder of the path, and return its module.

    Args:
        folder: The folder.
        name: The trainer's name.
        source: The source of the module.
        made: The name of the trainer's class.
    """
    described = folder / f"{name}-1.0.dist-info"
    described.mkdir(parents=True)
    module = folder / f"{name}_trainer.py"
    module.write_text(source)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[seedsweep.trainers]\n{name} = {module.stem}:{made}\n")
    return module


@contextlib.contextmanager
def installed(folder: Path, name: str, source: str, made: str) -> Iterator[dict[str, str]]:
    """Let this process find the trainer that `install_source` writes; yield what commands need to find it, too."""
    install_source(folder, name, source, made)
    with found_here(folder):
        yield {"PYTHONPATH": str(folder)}


@contextlib.contextmanager
def found_here(folder: Path) -> Iterator[None]:
    """Let this process find the trainers in a folder, and forget them at the end."""
    caches = registry._entries, registry.trainer, registry.code
    sys.path.insert(0, str(folder))
    for cached in caches:
        cached.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for each in folder.glob("*.py"):
            sys.modules.pop(each.stem, None)
        importlib.invalidate_caches()
        for cached in caches:
            cached.cache_clear()


def found_by_commands(name: str, source: str, made: str) -> Any:
    """Return a fixture: what a command needs to find a trainer (see `installed`), which this process finds as well."""

    @pytest.fixture
    def found(command_line: CommandLine) -> Iterator[dict[str, str]]:
        with installed(command_line.folder / "site", name, source, made) as variables:
            yield variables

    return found
