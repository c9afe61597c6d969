"""Specifications for tests, by the words of the command line, and manifests of them."""

import socket
from pathlib import Path
from typing import Any

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.sweeps.fields import flag, specification, vocabulary
from orchestrator.sweeps.files import SpecificationFile
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import PACKAGES, Provenance
from orchestrator.sweeps.specification import SweepSpecification
from worker.trainers.registry import DEFAULT

FIELDS = vocabulary().words
parse = vocabulary().parse
typed = vocabulary().typed
value_of = vocabulary().value_of
written = vocabulary().written
#: The provenance of a sweep that was made without a session, and without asking Git.
PROVENANCE = Provenance(
    created="2024-02-29T12:00:00+00:00",
    host=socket.gethostname(),
    python="3.11.0",
    platform="Linux",
    packages=dict.fromkeys(PACKAGES, "1.0"),
    git_commit="0" * 40,
    git_dirty=False,
    pid=1,
    trainer_package="seedsweep 1.0",
)


def read_file(path: Path) -> dict[str, Any]:
    """Return the values of a specification file."""
    file = SpecificationFile(path)
    return file.values(vocabulary(str(file.words.get("trainer", DEFAULT)), file.words))


def sweep_of(**words: Any) -> SweepSpecification:
    """Return the specification with these words: `sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=1)`."""
    return specification(parse(words))


def manifest_of(made: SweepSpecification, name: str = "a", dataset: str = MNIST_DIGEST) -> Manifest:
    """Return the manifest of a sweep that has just begun."""
    jobs = list(made.jobs_by_key(dataset))
    return Manifest(name=name, specification=made, dataset=dataset, jobs=jobs, provenance=PROVENANCE)


def flags_of(made: SweepSpecification) -> list[str]:
    """Return the flags of `orchestrator sweep` that say the same as a specification."""
    flags: list[str] = []
    for word, entry in FIELDS.items():
        value = value_of(made, word)
        if value is None:
            continue
        if entry.is_switch:
            flags += [flag(word) if on else f"--no-{flag(word)[2:]}" for on in value]
        else:
            flags += [part for text in typed(word, value) for part in (flag(word), text)]
    return flags
