"""The leaderboard as a whole. The same results give the same bytes, on every machine.

A leaderboard has no times, workers or attempts, which differ from one execution to the next. Means and deviations are
computed exactly and rounded once; all other statistics are rounded to `DIGITS` significant digits, because the last
ones depend on the processor. So nothing depends on the order in which results arrive.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from nn.options import describe
from orchestrator.analysis.leaderboard import figures
from orchestrator.analysis.leaderboard.common import Common, common_of
from orchestrator.analysis.leaderboard.figures import Place
from orchestrator.analysis.leaderboard.ranking import ranked
from orchestrator.analysis.leaderboard.scores import Entry, Scored, scores_of
from orchestrator.analysis.leaderboard.scoring import LAST, Scoring
from orchestrator.analysis.leaderboard.sentence import sentence
from orchestrator.analysis.leaderboard.verdict import Beaten, Finding, Verdict, find
from orchestrator.analysis.statistics.intervals import clopper_pearson
from orchestrator.folder.rows import Row
from orchestrator.sweeps.names import JobNames
from worker.job import Job
from worker.trainers.protocol import Metric

#: Significant digits of what is computed in floating point.
DIGITS = 10


class Standing(BaseModel):
    """One configuration's place on the leaderboard.

    Attributes:
        rank: From 1, by the rule of `orchestrator.analysis.leaderboard.ranking`.
        rank_low: The best rank that it may have: 1, and one more for each configuration that beats it. None for one
            that is no candidate: without a result, or of which most jobs diverged.
        rank_high: The worst rank that it may have.
        options: The options that vary in the sweep.
        n: Number of jobs that trained, without those that diverged. All figures are theirs.
        planned: Number of jobs.
        mean: Mean of their scores; None without any.
        low: Lower end of the interval for the mean over all seeds, at 95 %; None for fewer than two seeds.
        high: Its upper end.
        method: What the interval is: `t`, or `confidence sequence`, which stays valid however often one looks.
        low_new: Lower end of the interval for the mean on new samples, too; None without the answers of every job, or
            after a look, as it is valid for one only.
        high_new: Its upper end.
        contender: Whether it can be the best: no other one beats it.
        p_best: Probability that it is the best; None for fewer than five seeds.
        diverged: Jobs that diverged.
        diverged_low: Lower end of the interval for the rate of divergence, at 95 %; None without a result.
        diverged_high: Its upper end.
        failed: Jobs without a result that failed.
        cancelled: Jobs without a result that were cancelled.
        honest_mean: Of the first configuration: what it is worth, had each seed had no part in choosing it. Its mean
            is flattered, because it was chosen for it.
        std: Sample standard deviation (divisor n - 1); None for fewer than two seeds.
        best: The best score.
        worst: The worst one.
        best_seed: The first seed that reached `best`.
        best_weights_sha256: SHA-256 of the weights of that job.
        jobs: Its jobs, in the sweep's order.
    """

    model_config = ConfigDict(frozen=True)

    rank: int
    rank_low: int | None
    rank_high: int | None
    options: dict[str, Any]
    n: int
    planned: int
    mean: float | None
    low: float | None
    high: float | None
    method: str | None
    low_new: float | None
    high_new: float | None
    contender: bool
    p_best: float | None
    diverged: int
    diverged_low: float | None
    diverged_high: float | None
    failed: int
    cancelled: int
    honest_mean: float | None
    std: float | None
    best: float | None
    worst: float | None
    best_seed: int | None
    best_weights_sha256: str | None
    jobs: list[Entry]


@dataclass(frozen=True)
class Leaderboard:
    """A sweep's configurations by rank.

    Attributes:
        names: What varies, and how it is shown.
        common: What does not vary.
        in_common: The line that says so.
        metric: What was measured.
        scoring: Which number of a job counts.
        verdict: What follows.
        standings: The configurations.
    """

    names: JobNames
    common: Common
    in_common: str
    metric: Metric
    scoring: Scoring
    verdict: Verdict
    standings: tuple[Standing, ...]

    def name(self, options: Mapping[str, Any]) -> str:
        """Return options that vary with their values: `learning rate 0.1`; without any, words that say so."""
        headings = {name: describe.heading(self.names.model, name) for name in self.names.varying}
        told = (f"{heading} {self.names.shown(name, options[name])}" for name, heading in headings.items())
        return ", ".join(told) or "the only configuration"

    @property
    def usable(self) -> bool:
        """Whether some configuration can be recommended."""
        return self.verdict.leader is not None


def leaderboard(
    jobs: Mapping[str, Job],
    rows: Mapping[str, Row],
    data: str,
    axes: Collection[str] = (),
    *,
    scoring: Scoring = LAST,
    sequential: bool = False,
    configurations: Sequence[Scored] | None = None,
) -> Leaderboard:
    """Rank the configurations of a sweep, and draw the conclusion.

    Args:
        jobs: The sweep's jobs by key, in its order; at least one.
        rows: Their rows, by key; a job without a row counts as missing.
        data: The source of the data set.
        axes: Options that vary in the sweep, even where these jobs all have one value.
        scoring: Which number of a job counts.
        sequential: Whether somebody saw results before the sweep was extended: intervals and comparisons are then
            those that stay valid however often one looks.
        configurations: The scores of the configurations, by rank, where they are known already.
    """
    names = JobNames(jobs.values(), axes)
    metric = names.metric
    if configurations is None:
        configurations = ranked(scores_of(jobs, rows, metric, scoring))
    found = figures.places(configurations, sequential=sequential)
    honest = figures.honest_leader(configurations, rows, metric, scoring)
    standings: list[Standing] = []
    for place, p_best, scored in zip(found, figures.probabilities(configurations), configurations, strict=True):
        told = _intervals(scored, rows, scoring, sequential=sequential)
        told |= {"p_best": _rounded(p_best), "honest_mean": None if standings else _rounded(honest)}
        standings.append(_standing(len(standings) + 1, scored, names, place, told))
    common, in_common = common_of(jobs, names, data, scoring)
    verdict = _verdict(find(configurations, found, sequential=sequential), names)
    return Leaderboard(names, common, in_common, metric, scoring, verdict, tuple(standings))


def _intervals(scored: Scored, rows: Mapping[str, Row], scoring: Scoring, *, sequential: bool) -> dict[str, Any]:
    """Return the fields of a standing that intervals give."""
    mean = figures.mean_interval(scored, sequential=sequential)
    new = figures.on_new_images(scored, rows) if scoring == LAST and not sequential else None
    results = len(scored.trained) + scored.diverged
    rate = clopper_pearson(scored.diverged, results) if results else None
    ends = {"": mean, "_new": new}
    return {
        **{f"low{name}": None if each is None else _rounded(each.low) for name, each in ends.items()},
        **{f"high{name}": None if each is None else _rounded(each.high) for name, each in ends.items()},
        "method": None if mean is None else mean.method,
        "diverged_low": None if rate is None else _rounded(rate.low),
        "diverged_high": None if rate is None else _rounded(rate.high),
    }


def _standing(rank: int, scored: Scored, names: JobNames, place: Place | None, told: Mapping[str, Any]) -> Standing:
    trained, best = list(scored.trained.values()), scored.best
    # Not validated: it is made of what was validated before.
    return Standing.model_construct(
        rank=rank,
        rank_low=None if place is None else place.rank_low,
        rank_high=None if place is None else place.rank_high,
        options=_varying(scored, names),
        n=len(trained),
        planned=len(scored.entries),
        mean=scored.mean,
        contender=place is not None and place.contender,
        diverged=scored.diverged,
        failed=scored.count("failed"),
        cancelled=scored.count("cancelled"),
        std=statistics.stdev(trained) if len(trained) > 1 else None,
        best=None if best is None else best.score,
        worst=scored.worst,
        best_seed=None if best is None else best.seed,
        best_weights_sha256=None if best is None else best.weights_sha256,
        jobs=list(scored.entries),
        **told,
    )


def _varying(scored: Scored, names: JobNames) -> dict[str, Any]:
    return {name: getattr(scored.options, name) for name in names.varying}


def _verdict(finding: Finding, names: JobNames) -> Verdict:
    beaten = None
    if finding.difference is not None and finding.margin is not None:
        beaten = Beaten(
            options=_varying(finding.beaten[0], names),
            difference=_rounded(finding.difference) or 0.0,
            margin=_rounded(finding.margin) or 0.0,
        )
    contenders: Sequence[Scored] = () if finding.leader is None else (finding.leader, *finding.contenders)
    return Verdict(
        sentence=sentence(finding, names),
        decided=finding.decided,
        leader=None if finding.leader is None else _varying(finding.leader, names),
        contenders=[_varying(each, names) for each in contenders],
        beaten=beaten,
        seeds_to_decide=finding.seeds,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
