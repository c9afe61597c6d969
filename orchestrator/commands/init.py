"""`init`: writes a specification file to begin with."""

from __future__ import annotations

import os
from pathlib import Path

from nn.errors import InvalidInputError
from nn.files import write_atomically
from orchestrator.errors import OutputError
from orchestrator.sweeps.specification import SweepSpecification
from orchestrator.sweeps.template import template
from worker.text import one_line


def init(path: Path, specification: SweepSpecification | None = None) -> None:
    """Write a specification file with every word, its description, default and allowed values.

    Args:
        path: A file that does not exist yet.
        specification: What the file means; by default, what a sweep without any flags means.

    Raises:
        InvalidInputError: the file exists.
        OutputError: the file cannot be written.
    """
    if os.path.lexists(path):
        raise InvalidInputError("FILE", str(path), "the path of a file that does not exist yet")
    made = SweepSpecification(options={}, grid={}) if specification is None else specification
    content = template(one_line(str(path)), made).encode()
    try:
        write_atomically(path, lambda file: file.write(content))
    except OSError as error:
        raise OutputError(f"The file {path} cannot be written: {error.strerror or error}") from None
