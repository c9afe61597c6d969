"""Who takes part in a race: the configurations of a sweep, their jobs and their scores."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.folder.rows import Row
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Round
from worker.job import Configuration

#: One more than the largest seed.
_SEEDS = 2**32


class Field:
    """The configurations of a sweep.

    Args:
        manifest: The sweep.

    Attributes:
        configurations: The configurations, in the sweep's order. Elsewhere, an integer names one: its place, from 0.
        jobs: The key of each one's job, by seed.
        present: The number of seeds that each one had before the race.
        seen: The number of looks at results before the race, after which the sweep was extended.
        spent: The number of jobs that races have added.
        metric: What is measured.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._axes = manifest.axes
        jobs = manifest.jobs_by_key()
        found: dict[Configuration, dict[int, str]] = {}
        for key, job in jobs.items():
            found.setdefault(job.configuration, {})[job.seed] = key
        self.configurations = tuple(found)
        self.jobs: tuple[Mapping[int, str], ...] = tuple(found.values())
        self.metric = self.configurations[0].metric
        self._seeds = tuple(dict.fromkeys(job.seed for job in jobs.values()))
        added = added_by_races(manifest)
        self.present = tuple(sum(key not in added for key in each.values()) for each in self.jobs)
        self.spent = len(added)
        kinds = [each.command for each in manifest.looks]
        self.seen = kinds.index("decide") if "decide" in kinds else len(kinds)

    def options(self, configuration: int, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of some options of a configuration."""
        return {name: getattr(self.configurations[configuration].options, name) for name in names}

    def seeds(self, count: int) -> tuple[int, ...]:
        """Return the first seeds of the race: those of the sweep in its order, then the integers after the largest."""
        return (*self._seeds, *self._further(count - len(self._seeds)))[:count]

    def _further(self, count: int) -> Iterator[int]:
        known, seed = set(self._seeds), max(self._seeds)
        while count > 0:
            seed = (seed + 1) % _SEEDS
            if seed not in known:
                count -= 1
                yield seed

    def lacking(self, racing: Iterable[int], seeds: Sequence[int]) -> dict[int, list[int]]:
        """Return the seeds under which configurations have no job, by configuration; only of those that lack some."""
        lacking = {each: [seed for seed in seeds if seed not in self.jobs[each]] for each in racing}
        return {each: missing for each, missing in lacking.items() if missing}

    def round(self, lacking: Mapping[int, Sequence[int]]) -> Round:
        """Return the round that adds these jobs.

        Every configuration gets every seed that one of them lacks: what it has already, it has under the same key.
        """
        seeds = tuple(dict.fromkeys(seed for missing in lacking.values() for seed in missing))
        points = tuple(self.options(each, self._axes) for each in lacking)
        return Round(kind="decide", seeds=seeds, configurations=points)

    def rows(self, configuration: int, seeds: Iterable[int], rows: Mapping[str, Row]) -> dict[int, Row]:
        """Return the rows of a configuration under some seeds, by seed; of jobs that have one."""
        keys = self.jobs[configuration]
        return {seed: rows[keys[seed]] for seed in seeds if seed in keys and keys[seed] in rows}

    def score(self, row: Row) -> float:
        """Return the metric after the last epoch, the higher the better."""
        return row.validation_score[-1] if self.metric.higher_is_better else -row.validation_score[-1]

    def scores(self, configuration: int, seeds: Iterable[int], rows: Mapping[str, Row]) -> dict[int, float]:
        """Return the scores of the jobs that trained to their end, by seed. Those that diverged or failed have none."""
        found = self.rows(configuration, seeds, rows)
        return {seed: self.score(row) for seed, row in found.items() if row.status == "succeeded"}


def added_by_races(manifest: Manifest) -> frozenset[str]:
    """Return the keys of the jobs that races have added to a sweep."""
    if not any(each.kind == "decide" for each in manifest.rounds):
        return frozenset()
    added: set[str] = set()
    specification = manifest.specification
    known = set(specification.jobs_by_key(manifest.dataset))
    for each in manifest.rounds:
        new = {job.key for job in each.jobs(specification, manifest.dataset)} - known
        known |= new
        if each.kind == "decide":
            added |= new
        specification = each.extend(specification)
    return frozenset(added)


def unfit(field: Field, racing: Sequence[int], seeds: Sequence[int], rows: Mapping[str, Row]) -> tuple[int, ...]:
    """Return the configurations that leave a race at a look without a test, because they do not train reliably.

    These are configurations of which fewer than half of the jobs trained to their end; and, as long as there are
    others, those of which a job diverged and whose mean is behind that of one of which none did. A diverged job counts
    in that mean with the worst score of all at this look. There is no interval for such a mean, so this is a rule, and
    the race's guarantee is about the configurations that train.
    """
    found = {each: field.rows(each, seeds, rows) for each in racing}
    scores = {each: field.scores(each, seeds, rows) for each in racing}
    diverged = {each: sum(row.status == "diverged" for row in found[each].values()) for each in racing}
    fit = [each for each in racing if scores[each] and 2 * len(scores[each]) >= len(found[each])]
    results = [field.score(row) for each in racing for row in found[each].values() if row.accepted]
    reliable = [statistics.fmean(scores[each].values()) for each in fit if not diverged[each]]

    def is_behind(each: int) -> bool:
        counted = [*scores[each].values(), *[min(results)] * diverged[each]]
        return bool(diverged[each] and reliable) and statistics.fmean(counted) < max(reliable)

    return tuple(each for each in racing if each not in fit or is_behind(each))
