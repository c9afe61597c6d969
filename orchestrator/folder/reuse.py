"""Finds results that other sweeps in the same output folder have already: the same job gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import is_name
from worker.job import Job

_KEY_START = len('{"job":"')
_KEY = slice(_KEY_START, _KEY_START + 64)


def sibling_results(folder: SweepFolder, wanted: Mapping[str, Job]) -> Iterator[tuple[Row, SweepFolder]]:
    """Yield accepted rows of wanted jobs with the folder that holds their weights, each job at most once.

    Weights that are missing, or are not what their hash says, make their row useless.

    Args:
        folder: The folder of the sweep that asks.
        wanted: The jobs that it lacks, by key.
    """
    missing = {key.encode() for key in wanted}
    for other in _siblings(folder):
        for line in other.lines():
            # The key stands first in every line: most lines need not be parsed to be passed over.
            if not missing:
                return
            if line[_KEY] not in missing:
                continue
            row = _usable(line, other)
            # A damaged line may name two jobs: the row's own is what counts.
            if row is not None and row.job.encode() in missing and row.is_of(wanted[row.job]):
                missing.remove(row.job.encode())
                yield row, other


def _siblings(folder: SweepFolder) -> list[SweepFolder]:
    """Return the other sweeps' folders, the latest name first."""
    names = sorted((path.parent.name for path in folder.path.parent.glob("*/sweep.json")), reverse=True)
    return [SweepFolder(folder.path.parent, name) for name in names if name != folder.name and is_name(name)]


def _usable(line: bytes, other: SweepFolder) -> Row | None:
    try:
        row = Row.model_validate_json(line)
    except ValidationError:
        return None
    usable = row.accepted and row.weights_sha256 is not None and other.has_weights(row.weights_sha256)
    return row if usable else None
