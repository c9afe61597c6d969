"""`confirm`: trains the leaders of a sweep under fresh seeds, and measures the selection bias of their means."""

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nn.errors import Described, InvalidInputError
from nn.options.network import MAX_SEED
from orchestrator.analysis.leaderboard.scores import LAST, Scored, Scoring, ranked
from orchestrator.analysis.statistics.difference import Difference, compare
from orchestrator.analysis.statistics.intervals import Interval, t_interval
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place
from orchestrator.commands.extend import GrowthPlan, planned, refuse_unfinished
from orchestrator.commands.sweep import plan_resumption
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.session import Session
from orchestrator.sweeps.fields import seeds_as_text
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Round, Withdrawn
from orchestrator.sweeps.samplers import Point
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import have
from worker.job import Job
from worker.trainers.protocol import Metric

#: Defaults: how many configurations are confirmed, if there are enough, and under how many seeds.
DEFAULT_TOP = 3
DEFAULT_SEEDS = 20
#: Returns the sweep of a manifest and rows, by the metric that counts.
Judge = Callable[[Manifest, Mapping[str, Row]], Sweep]


@dataclass(frozen=True)
class Sample:
    """The results of a configuration under some seeds.

    Attributes:
        seeds: The number of jobs that trained to their end. Mean and interval are theirs.
        diverged: The number of jobs that diverged.
        mean: The mean of the metric after the last epoch; None if no job trained.
        interval: Student's t interval of the mean, at 95 %; None for fewer than two seeds.
    """

    seeds: int
    diverged: int
    mean: float | None
    interval: Interval | None

    def __str__(self) -> str:
        """How many jobs trained to their end, and how many diverged."""
        return f"{self.seeds} ({self.diverged} diverged)" if self.diverged else str(self.seeds)


@dataclass(frozen=True)
class Confirmation:
    """A configuration's results when it was chosen, and under fresh seeds.

    Attributes:
        options: The options that vary.
        before: The results by which it was chosen.
        fresh: The results under the fresh seeds.
        shrinkage: The difference of the means, before and fresh, with Welch's interval. Positive if the choice inflated
            the mean, whichever direction is better. None unless jobs trained on each side.
    """

    options: Mapping[str, Any]
    before: Sample
    fresh: Sample
    shrinkage: Difference | None

    def shrunk(self, metric: Metric) -> str:
        """Return the shrinkage as text, with its interval."""
        difference = self.shrinkage
        return "-" if difference is None else with_interval(metric, difference.mean, difference.interval)


@dataclass(frozen=True)
class ConfirmationResult:
    """The leaders of a sweep under fresh seeds.

    Attributes:
        sweep: The sweep, with the rows of the fresh seeds.
        seeds: The fresh seeds.
        confirmed: The configurations, by the rank that they had before.
    """

    sweep: Sweep
    seeds: tuple[int, ...]
    confirmed: tuple[Confirmation, ...]

    def __str__(self) -> str:
        """What the fresh seeds say about the configuration that led, and which one leads under them."""
        board, leader = self.sweep.leaderboard, self.confirmed[0]
        if leader.fresh.mean is None:
            return "No job under the fresh seeds trained to its end"
        metric, unit = board.names.metric, " %" if board.names.metric.is_share else ""
        name = board.names.configuration(leader.options) or "the configuration"
        found = f"{with_interval(metric, leader.fresh.mean, leader.fresh.interval)}{unit}"
        before = f"{metric.number(leader.before.mean)}{unit}"
        text = (
            f"Under fresh seeds, {name} has {found}; it was chosen with {before} over "
            f"{leader.before} seeds: shrinkage {leader.shrunk(metric)}{' points' if unit else ''}"
        )
        sign = 1 if metric.higher_is_better else -1
        ranked = [each for each in self.confirmed if each.fresh.mean is not None]
        first = max(ranked, key=lambda each: sign * (each.fresh.mean or 0.0))
        if first is leader:
            return text
        return f"{text}. The best mean under fresh seeds has {board.names.configuration(first.options)}"


def with_interval(metric: Metric, value: float | None, interval: Interval | None) -> str:
    """Return a number as text, with the distance to an end of its interval: to the farther one, if one was cut."""
    if value is None or interval is None:
        return metric.number(value)
    return f"{metric.number(value)} ± {metric.number(max(value - interval.low, interval.high - value))}"


def plan_confirmation(
    folder: SweepFolder,
    place: Place,
    *,
    top: int | None = None,
    seeds: int | tuple[int, ...] = DEFAULT_SEEDS,
    metric: str | None = None,
) -> GrowthPlan:
    """Choose the configurations and seeds, and return the plan, after all checks that can be made before it begins.

    If the sweep's last round, or a withdrawn one, confirms the same configurations under the same number of seeds, or
    under these seeds, the command goes on with it.

    Args:
        folder: The sweep's folder.
        place: Where the jobs are trained; it need not have been `reached`.
        top: How many configurations to confirm, the first of the leaderboard; None for 3, or all if there are fewer.
        seeds: How many seeds, which are the next integers above those of the sweep; or the seeds.
        metric: By what to choose them (`Scoring.parse`); None for the sweep's way.

    Raises:
        InvalidInputError: `top`, `seeds` or `metric` is not allowed, or jobs of the sweep have not ended.
        SweepNotFoundError: the folder is not a sweep's, or no job has a result.
        SeedsweepError: the sweep cannot be resumed (see `plan_resumption`).
    """

    def judge(manifest: Manifest, rows: Mapping[str, Row]) -> Sweep:
        return Sweep.of(folder, manifest, manifest.jobs_by_key(), rows, metric)

    return planned(plan_resumption(folder, place), functools.partial(_round, judge=judge, top=top, seeds=seeds))


def confirmed(session: Session, sweep: Sweep, metric: str | None = None) -> ConfirmationResult:
    """Compare the leaders by a metric before and under fresh seeds, in a session that ended with this sweep."""
    manifest, sweep = session.manifest, sweep.select(metric=metric)
    further, before = manifest.rounds[-1], manifest.undone().jobs_by_key()
    fresh = [job for key, job in session.jobs.items() if key not in before and job.seed in further.seeds]
    sides = (before.values(), fresh)
    compared = (
        confirmation(point, *sides, sweep.rows, sweep.names.metric, sweep.scoring) for point in further.configurations
    )
    return ConfirmationResult(sweep, further.seeds, tuple(compared))


def _round(
    manifest: Manifest, rows: Mapping[str, Row], *, judge: Judge, top: int | None, seeds: int | tuple[int, ...]
) -> Round | None:
    for last in manifest.rounds[-1:]:
        # The round is the one that the same command would have made.
        if _has(last, seeds) and last.configurations == _leaders(judge(manifest.undone(), rows), top):
            return None
    refuse_unfinished(manifest.specification)
    leaders = _leaders(judge(manifest, rows), top)
    for each in manifest.withdrawn:
        if _has(each, seeds) and manifest.seeds.isdisjoint(each.seeds):
            again = Round(kind="confirm", seeds=each.seeds, configurations=leaders)
            # What was withdrawn is taken back, rather than replaced by other seeds.
            if manifest.with_round(again).jobs == [*manifest.jobs, *each.jobs]:
                return again
    used = manifest.seeds.union(*(each.seeds for each in manifest.withdrawn))
    return Round(kind="confirm", seeds=_fresh(used, seeds), configurations=leaders)


def _has(found: Round | Withdrawn, seeds: int | tuple[int, ...]) -> bool:
    """Return whether a round confirms under these seeds, or under as many."""
    return found.kind == "confirm" and (len(found.seeds) == seeds if isinstance(seeds, int) else found.seeds == seeds)


def _leaders(sweep: Sweep, top: int | None) -> tuple[Point, ...]:
    leaders = [each for each in sweep.scored if each.mean is not None]
    if not leaders:
        raise SweepNotFoundError("This sweep has no result to confirm")
    if waiting := len(sweep.jobs) - sweep.accounting.done:
        found = Described(f"a sweep of which {have(waiting, 'job')} not ended")
        allowed = f"a sweep that has ended (go on with it by orchestrator sweep --resume --name {sweep.name})"
        raise InvalidInputError("folder", found, allowed)
    count = min(DEFAULT_TOP, len(leaders)) if top is None else top
    if not 1 <= count <= len(leaders):
        allowed = f"an integer from 1 to {len(leaders)}, the number of configurations with a result"
        raise InvalidInputError("top", count, allowed)
    return tuple(sweep.manifest.point(each.options) for each in leaders[:count])


def _fresh(used: Collection[int], seeds: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the seeds of a confirmation, none of which was used."""
    if isinstance(seeds, int):
        first = max(used) + 1
        # Checked before the seeds are listed: a sweep cannot have more seeds than jobs.
        most = min(MAX_SEED + 1 - first, MAX_JOBS)
        if not 1 <= seeds <= most:
            allowed = f"an integer from 1 to {most}, or seeds such as 100-119"
            raise InvalidInputError("seeds", seeds, allowed)
        return tuple(range(first, first + seeds))
    if not seeds or not set(seeds).isdisjoint(used):
        allowed = f"fresh seeds; the sweep has, or has had, {seeds_as_text(sorted(used))}"
        raise InvalidInputError("seeds", seeds_as_text(seeds), allowed)
    return seeds


def confirmation(
    point: Point,
    before: Collection[Job],
    fresh: Collection[Job],
    rows: Mapping[str, Row],
    metric: Metric,
    scoring: Scoring = LAST,
) -> Confirmation:
    """Compare a configuration's results before and under fresh seeds.

    Args:
        point: The configuration, as values of the options that vary.
        before: The jobs of the sweep when it was chosen.
        fresh: The jobs under the fresh seeds.
        rows: The rows of all these jobs, by key.
        metric: What was measured.
        scoring: How a job is scored.
    """
    jobs = ([job for job in each if point.items() <= dict(job.options).items()] for each in (before, fresh))
    (old,), (new,) = (ranked({job.key: job for job in each}, rows, metric, scoring) for each in jobs)
    shrinkage = compare(old.oriented, new.oriented) if old.trained and new.trained else None
    return Confirmation(dict(point), _sample(old, metric), _sample(new, metric), shrinkage)


def _sample(scored: Scored, metric: Metric) -> Sample:
    values = list(scored.trained.values())
    interval = t_interval(values)
    possible = interval and interval.possible(is_share=metric.is_share)
    return Sample(len(values), scored.diverged, scored.mean, possible)
