"""Adds jobs to a sweep: the batches that a sampler draws from earlier results."""

import math
import statistics
from collections.abc import Callable, Mapping

from orchestrator.folder.rows import Row
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.samplers import MAX_ASKED, Point, ask
from orchestrator.sweeps.specification import SweepSpecification

#: Takes a sweep's manifest and rows, and returns the manifest with further jobs; None if the sweep needs none.
Grow = Callable[[Manifest, Mapping[str, Row]], Manifest | None]


def first_batch(manifest: Manifest, processes: int) -> Manifest:
    """Return the manifest of a new sweep with the first configurations of its sampler.

    If no batch size is given, it becomes the smallest whose jobs keep this number of processes busy, for the whole
    sweep.

    Raises:
        MissingPackageError: the sampler's package is not installed.
    """
    specification = manifest.specification
    sampling = specification.sampling
    if sampling is not None and sampling.sampler_batch is None:
        batch = min(MAX_ASKED, max(1, math.ceil(processes / len(specification.seeds))))
        sampling = sampling.model_copy(update={"sampler_batch": batch})
        specification = specification.model_copy(update={"sampling": sampling})
        manifest = manifest.model_copy(update={"specification": specification})
    return grown(manifest, {}) or manifest


def grown(manifest: Manifest, rows: Mapping[str, Row]) -> Manifest | None:
    """Return the manifest with the next batch of configurations; None if all are drawn.

    The batch depends only on the sampler, its seed and the rows: every session draws the same.

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
    earlier = [(point, _value(specification, point, manifest.dataset, rows)) for point in specification.drawn]
    count = min(sampling.sampler_batch or 1, specification.remaining)
    return manifest.with_drawn(ask(specification.space, earlier, count, sampling.sampler_seed))


def _value(specification: SweepSpecification, point: Point, dataset: str, rows: Mapping[str, Row]) -> float | None:
    """Return a configuration's value, the higher the better; None unless each of its jobs has a result.

    It is the mean of the metric after the last epoch, negated if lower is better.
    """
    jobs = list(specification.jobs_under(specification.seeds, [point], dataset))
    scores = [rows[job.key].validation_score[-1] for job in jobs if job.key in rows and rows[job.key].accepted]
    if len(scores) < len(jobs):
        return None
    mean = statistics.mean(scores)
    return mean if jobs[0].metric.higher_is_better else -mean
