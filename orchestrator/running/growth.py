"""Adds jobs to a sweep: the batches that a sampler draws from earlier results, and the rounds of commands."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.samplers import Point, ask
from orchestrator.sweeps.specification import SweepSpecification

if TYPE_CHECKING:
    from orchestrator.cluster.registry import Registry

#: Takes a sweep's manifest and rows, and returns the manifest with further jobs; None if the sweep needs none.
Grow = Callable[[Manifest, Mapping[str, Row]], Manifest | None]


def no_growth(_manifest: Manifest, _rows: Mapping[str, Row]) -> None:
    """Return no further jobs: the `Grow` of a sweep that grows only by its sampler."""


#: Seconds for which a following session waits for the other one to draw configurations, and between two looks.
DRAWING_SECONDS = 5.0
LOOK_SECONDS = 0.5


class Growth:
    """The manifest of a sweep, in its folder and on its cluster. It grows in both, or stays as it is.

    Args:
        registry: The sweeps of the cluster.
        folder: The sweep's folder, which this process has locked.
        interruption: Defers signals while the folder is written.
        grow: Called for further jobs when every job has its row, and the sampler has drawn all configurations.
    """

    def __init__(
        self, registry: Registry, folder: SweepFolder, interruption: Interruption, grow: Grow = no_growth
    ) -> None:
        self._registry = registry
        self._folder = folder
        self._interruption = interruption
        self._grow = grow

    def reopened(self) -> Manifest:
        """Register a sweep that begins or is resumed; return the longer of its two manifests."""
        return self._kept(self._registry.reopen(self._folder.manifest()))

    def registered(self) -> Manifest:
        """Register the sweep, unless it is registered already; return the longer of its two manifests."""
        return self._kept(self._registry.register(self._folder.manifest()))

    def further(self, manifest: Manifest, rows: Mapping[str, Row]) -> Manifest | None:
        """Return the manifest with more jobs: those that another session has added, or else its own further ones.

        A cancelled sweep gets none. Arguments, result and errors: see `grown`.
        """
        if self._is_cancelled(manifest, rows):
            return None
        if added := self._added(manifest):
            return added
        drawn = grown(manifest, rows) if manifest.specification.remaining else self._grow(manifest, rows)
        # The cluster first: if another session has added other jobs there meanwhile, the folder stays as it is.
        return None if drawn is None else self._kept(self._registry.register(drawn))

    def added_by_others(self, manifest: Manifest, rows: Mapping[str, Row]) -> Manifest | None:
        """Return the manifest with the jobs that another session has added; None if none come.

        It waits a while for a sampler's configurations: the session that trains the sweep draws them.
        """
        deadline = time.monotonic() + DRAWING_SECONDS
        while not self._is_cancelled(manifest, rows):
            added = self._added(manifest)
            if added is not None or not manifest.specification.remaining or time.monotonic() > deadline:
                return added
            time.sleep(LOOK_SECONDS)
        return None

    def _added(self, manifest: Manifest) -> Manifest | None:
        registered = self._registry.register(manifest)
        return self._kept(registered) if registered.jobs != manifest.jobs else None

    def _is_cancelled(self, manifest: Manifest, rows: Mapping[str, Row]) -> bool:
        # Redis may have lost the mark of a cancellation that was carried out.
        was_cancelled = any(row.status == "cancelled" for row in rows.values())
        return was_cancelled or self._registry.cancelled(manifest.name) is not None

    def _kept(self, manifest: Manifest) -> Manifest:
        """Write the manifest into the folder, if that has another one, and return it."""
        if manifest.jobs != self._folder.manifest().jobs:
            with self._interruption.shield():
                self._folder.write_manifest(manifest)
        return manifest


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
        batch = max(1, math.ceil(processes / len(specification.seeds)))
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
    asked = ask(specification.space, earlier, count, sampling.sampler_seed)
    return manifest.with_drawn(asked)


def _value(specification: SweepSpecification, point: Point, dataset: str, rows: Mapping[str, Row]) -> float | None:
    """Return a configuration's value, the higher the better; None unless each of its jobs has a result.

    It is the mean of the metric after the last epoch, negated if lower is better.
    """
    jobs = list(specification.jobs_under(specification.seeds, [point], dataset))
    found = [rows.get(job.key) for job in jobs]
    scores = [row.validation_score[-1] for row in found if row is not None and row.accepted]
    if len(scores) < len(found):
        return None
    mean = statistics.mean(scores)
    return mean if jobs[0].metric.higher_is_better else -mean
