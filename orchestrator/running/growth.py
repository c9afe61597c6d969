"""Draws further configurations of a sweep from the results of those before: one batch after another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from orchestrator.folder.rows import Row
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.samplers.optuna_search import Trial, ask
from orchestrator.sweeps.samplers.space import Point
from orchestrator.sweeps.specification import SweepSpecification


def first_batch(manifest: Manifest, processes: int) -> Manifest:
    """Return the manifest of a new sweep with the first configurations of its sampler.

    The size of a batch, if it is not given, becomes the smallest whose jobs keep this number of processes busy. It
    stays the same for the whole sweep.

    Raises:
        MissingPackageError: the sampler's package is not installed.
    """
    specification = manifest.specification
    sampling = specification.sampling
    if sampling is not None and sampling.sampler_batch is None:
        batch = max(1, math.ceil(processes / len(specification.seeds)))
        sampling = sampling.model_copy(update={"sampler_batch": batch})
        specification = specification.model_copy(update={"sampling": sampling})
        manifest = manifest.model_copy(update={"specification": specification})
    return grown(manifest, {}) or manifest


def grown(manifest: Manifest, rows: Mapping[str, Row]) -> Manifest | None:
    """Return the manifest with the next batch of configurations; None if all are drawn.

    It depends on the sampler, its seed and the rows alone: whoever goes on with the sweep draws the same.

    Args:
        manifest: The sweep.
        rows: The rows of all its jobs, by key.

    Raises:
        MissingPackageError: the sampler's package is not installed.
    """
    specification = manifest.specification
    sampling = specification.sampling
    if sampling is None or specification.remaining == 0:
        return None
    earlier = [Trial(point, _value(specification, point, manifest.dataset, rows)) for point in specification.drawn]
    count = min(sampling.sampler_batch or 1, specification.remaining)
    asked = ask(specification.grid, earlier, count, sampling.sampler_seed, is_integer=SweepSpecification.is_integer)
    return manifest.with_drawn(asked)


def _value(specification: SweepSpecification, point: Point, dataset: str, rows: Mapping[str, Row]) -> float | None:
    """Return the mean of a configuration's final validation accuracies; None unless each of its jobs has a result."""
    found = [rows.get(job.key) for job in specification.jobs_of(point, dataset)]
    accuracies = [row.validation_accuracy[-1] for row in found if row is not None and row.accepted]
    return statistics.mean(accuracies) if len(accuracies) == len(found) else None
