"""What a sweep is, as `sweep.json` and the cluster hold it; and how sweeps may be called."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from nn.errors import InvalidInputError
from orchestrator.sweeps.provenance import Provenance
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification

#: A bound for what a damaged or foreign folder may ask of us: 100,000 jobs take 8 MB.
MAX_MANIFEST_BYTES = 64 * 2**20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class Manifest(BaseModel):
    """What `sweep.json` holds.

    Attributes:
        dataset: The data set's digest.
        jobs: The job keys, in the sweep's order.
        resumed: Later runs that went on with the sweep.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    specification: SweepSpecification
    dataset: str
    jobs: list[str]
    provenance: Provenance
    resumed: list[Provenance] = []

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        """Refuse what no sweep of ours can be, before anybody lists its jobs."""
        if not is_name(self.name):
            raise ValueError("its name is none that a sweep may have")
        if not 1 <= self.specification.size <= MAX_JOBS:
            raise ValueError(f"it has {self.specification.size} jobs; allowed: 1 to {MAX_JOBS:,}")
        return self

    def as_text(self) -> str:
        """Return the content of `sweep.json`."""
        return self.model_dump_json(indent=2) + "\n"


def is_name(name: str) -> bool:
    """Whether a sweep may be called so: nothing that would lead out of the output folder."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return the name if a sweep may be called so.

    Raises:
        InvalidInputError: it may not.
    """
    if not is_name(name):
        raise InvalidInputError(
            "--name", name, "up to 100 letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    return name


def free_name(output: Path) -> str:
    """Return a name from the time of day that no sweep in this folder has."""
    stem = datetime.now().astimezone().strftime("sweep-%Y%m%d-%H%M%S")
    name, number = stem, 2
    while os.path.lexists(output / name):
        name, number = f"{stem}-{number}", number + 1
    return name
