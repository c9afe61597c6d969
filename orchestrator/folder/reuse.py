"""Finds results that can be reused from other sweeps in the same output folder: equal jobs train to the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydantic import ValidationError

from orchestrator.errors import SweepUnreadableError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import is_name
from worker.errors import TrainerUnusableError
from worker.job import Job

_KEY_START = len('{"job":"')
_KEY = slice(_KEY_START, _KEY_START + 64)


def sibling_results(
    folder: SweepFolder, wanted: Mapping[str, Job], tell: Callable[[str], None]
) -> Iterator[tuple[Row, SweepFolder]]:
    """Yield accepted rows of the wanted jobs, each with the folder that holds its weights; a job at most once.

    Rows whose weights are missing or damaged are skipped, and so are sweeps that cannot be read, with a message: they
    were not asked for, and their jobs can be trained instead.

    Args:
        folder: The folder of the sweep that needs results.
        wanted: The jobs without a result, by key.
        tell: Shows a message to the user.
    """
    missing = dict(wanted)
    for other in _siblings(folder):
        try:
            for row in _rows(other, missing):
                del missing[row.job]
                yield row, other
        except SweepUnreadableError as error:
            tell(f"The results of the sweep {other.name} are not reused: {error}")
        if not missing:
            return


def _rows(other: SweepFolder, missing: Mapping[str, Job]) -> Iterator[Row]:
    """Yield usable rows of missing jobs; the caller removes each from `missing`."""
    for line in other.lines():
        if not missing:
            return
        # Every line begins with the job key, so most lines are skipped without parsing them.
        if line[_KEY].decode(errors="replace") not in missing:
            continue
        row = _usable(line, other)
        # A forged line may have two keys; JSON takes the last one.
        if row is not None and row.job in missing and (whole := row.of(missing[row.job])):
            yield whole


def _siblings(folder: SweepFolder) -> list[SweepFolder]:
    """Return the folders of the other sweeps, in descending order of name."""
    names = sorted((path.parent.name for path in folder.path.parent.glob("*/sweep.json")), reverse=True)
    return [SweepFolder(folder.path.parent, name) for name in names if name != folder.name and is_name(name)]


def _usable(line: bytes, other: SweepFolder) -> Row | None:
    try:
        row = Row.model_validate_json(line)
    except (ValidationError, TrainerUnusableError):
        return None
    usable = row.accepted and row.weights_sha256 is not None and other.has_weights(row.weights_sha256)
    return row if usable else None
