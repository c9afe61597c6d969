"""How `show` and `predict` name a job."""

from __future__ import annotations

from typing import Any

from orchestrator.analysis.lookup import TrainedJob


def identity(network: TrainedJob) -> dict[str, Any]:
    """Return the fields that identify a job, for JSON."""
    row = network.row
    return {
        "sweep": network.sweep.name,
        "job": row.job,
        "seed": row.seed,
        "options": row.options.model_dump(),
        "status": row.status,
        "weights_sha256": row.weights_sha256,
    }


def title(network: TrainedJob) -> str:
    """Return one line that identifies a job and gives its validation accuracy."""
    row = network.row
    accuracy = percent(row.validation_score[-1])
    diverged = f"; diverged ({row.error})" if row.status == "diverged" else ""
    words = network.job.words(network.sweep.manifest.axes)
    return f"job {row.job[:12]} of {network.sweep.name}: {words}; validation accuracy {accuracy}{diverged}"


def percent(share: float | None) -> str:
    """Return a share in percent, with two decimals: 97.31 %; a dash for None."""
    return "-" if share is None else f"{100 * share:.2f} %"
