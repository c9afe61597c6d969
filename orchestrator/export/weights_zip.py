"""Writes the weights of a sweep as one ZIP file, uncompressed, with a list that says whose they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from nn.errors import WeightsError
from orchestrator.analysis.sweep import Ended, Sweep
from orchestrator.errors import SweepNotFoundError
from orchestrator.export.jobs import Missing, OnProgress, as_text, counted, options_of, put

#: The list of the jobs.
MANIFEST = "manifest.json"


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> tuple[Missing, ...]:
    """Write the weights that the folder has, each once, as `weights/SHA-256.safetensors`, and `manifest.json`.

    The same results give the same bytes: entries are in the sweep's order, and have no times. One job's weights
    are in memory at a time. What is damaged counts as missing.

    Raises:
        SweepNotFoundError: no weights are there, or no job has a result.
    """
    jobs: list[dict[str, Any]] = []
    missing: list[Missing] = []
    files: dict[str, str] = {}
    with ZipFile(paths[0], "x", ZIP_STORED) as archive:
        for each in counted(sweep, on_progress):
            sha256 = each.row.weights_sha256
            if sha256 is not None and sha256 not in files:
                try:
                    blob = sweep.folder.weights(each.job, sha256)
                except WeightsError:
                    missing.append(Missing(each, sweep.folder.weights_fault(each.job, sha256) or "unreadable"))
                else:
                    # Not named like the folder's file, whose name is untrusted.
                    files[sha256] = f"weights/{sha256}{sweep.folder.weights_path(sha256).suffix}"
                    put(archive, files[sha256], blob)
            jobs.append(_job(each, files))
        if not files:
            none = f"No job of the sweep {sweep.name} has weights: there is nothing to export"
            lost = (
                f"The folder {sweep.folder.path} has none of the weights of its sweep; orchestrator weights "
                f"{sweep.name} JOB trains a job again"
            )
            raise SweepNotFoundError(lost if missing else none)
        put(archive, MANIFEST, _manifest(sweep, jobs))
    return tuple(missing)


def _job(each: Ended, files: Mapping[str, str]) -> dict[str, Any]:
    row = each.row
    return {
        "job": each.key,
        "seed": row.seed,
        "trainer": each.job.trainer,
        "options": {name: _in_json(value) for name, value in options_of(each.job).items()},
        "status": row.status,
        "score": row.validation_score[-1] if row.validation_score else None,
        "weights_sha256": row.weights_sha256,
        "file": None if row.weights_sha256 is None else files.get(row.weights_sha256),
    }


def _in_json(value: Any) -> Any:
    """Return an option's value in JSON's types, which have no infinity."""
    return as_text(value) if isinstance(value, float) and not math.isfinite(value) else value


def _manifest(sweep: Sweep, jobs: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the content of `manifest.json`: a line for each job."""
    metric = sweep.names.metric
    head = {"sweep": sweep.name, "dataset": sweep.manifest.dataset, "metric": metric.name}
    lines = ",\n  ".join(json.dumps(job) for job in jobs)
    return f'{json.dumps(head)[:-1]}, "jobs": [\n  {lines}\n]}}\n'.encode()
