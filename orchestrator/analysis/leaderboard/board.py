"""The leaderboard as a whole. The same results give the same bytes, on every machine.

A leaderboard has no times, workers or attempts, which differ from one execution to the next. Means and deviations are
computed exactly and rounded once; all other statistics are rounded to `judgement.DIGITS` significant digits. So nothing
depends on the order in which results arrive.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from nn.options import describe
from orchestrator.analysis.leaderboard.judgement import Judgement, Verdict, at_most, ends, rounded
from orchestrator.analysis.leaderboard.scores import Entry, Scored
from orchestrator.analysis.statistics.intervals import Interval, clopper_pearson
from orchestrator.sweeps.names import JobNames
from orchestrator.text import probability
from worker.job import Job
from worker.text import one_line
from worker.trainers.registry import DEFAULT

T = TypeVar("T")

#: From this many seeds on, P(best) is calibrated. Below, tables mark it as rough.
CALIBRATED_SEEDS = 10
#: The cell for an unknown value.
NONE = "-"


# Figures and columns


class Figure(functools.cached_property[T]):
    """A figure of a configuration, as a method of `Standing`: a field of `leaderboard.json` and `leaderboard.csv`."""

    column: Column | None = None


@dataclass(frozen=True)
class Column:
    """A column of every table of the leaderboard; as a decorator, it declares the figure that it shows.

    Attributes:
        heading: Its heading.
        meaning: What it is, for the report; empty for an option, whose heading says it.
        cell: Returns the cell of a configuration; None to show the figure itself, a count or a score.
        tables: Which tables have it: `all`; `telling`, those in which it is informative for some row; `wide`, only wide
            ones, and the report if it is informative.
        tells: Whether it is informative for a configuration; None if every cell but 0 and - is.
        spare: A narrow terminal drops columns by this number, the lowest first; None to keep it.
        order: Columns are sorted by this number; ties keep the order of the figures.
        first: What comes first if rows are sorted by it: `low` or `high` values, or the better `score`.
        name: The figure's name.
    """

    heading: str
    meaning: str
    cell: Callable[[Leaderboard, Standing], str] | None = None
    tables: Literal["all", "telling", "wide"] = "all"
    tells: Callable[[Leaderboard, Standing], bool] | None = None
    spare: int | None = None
    order: int = 0
    first: Literal["low", "high", "score"] = "low"
    name: str = ""

    def __call__(self, method: Callable[[Any], T]) -> Figure[T]:
        """Declare a method of `Standing` as the figure."""
        figure = Figure(method)
        figure.column = replace(self, name=method.__name__)
        return figure

    def text(self, board: Leaderboard, standing: Standing) -> str:
        """Return the cell of a configuration."""
        return _shown(board, getattr(standing, self.name)) if self.cell is None else self.cell(board, standing)

    def is_told(self, board: Leaderboard, standings: Sequence[Standing]) -> bool:
        """Return whether it is informative for some configuration."""
        tells = self.tells or (lambda board, each: self.text(board, each) not in ("0", NONE))
        return any(tells(board, each) for each in standings)


def _shown(board: Leaderboard, value: float | None) -> str:
    return str(value) if isinstance(value, int) else board.names.metric.number(value)


def _interval(board: Leaderboard, standing: Standing, suffix: str = "") -> str:
    """Return the cell of an interval of scores: between the figures `low` and `high`, each with the suffix."""
    ends = [_shown(board, getattr(standing, f"{name}{suffix}")) for name in ("low", "high")]
    return NONE if NONE in ends else " to ".join(ends)


def _trained(_: Leaderboard, standing: Standing) -> str:
    return f"{standing.n}/{standing.planned}"


def _rank(board: Leaderboard, standing: Standing) -> str:
    return str(standing.rank) if board.standings[0].n or board.standings[0].diverged else NONE


def _may_be_best(board: Leaderboard, standing: Standing) -> str:
    if not standing.contender:
        return "no" if standing.n else NONE
    is_known = board.verdict.decided or len(board.judgement.candidates) == len(board.standings)
    return "yes" if is_known and len(board.verdict.contenders) == 1 else "maybe"


def _regret(board: Leaderboard, standing: Standing) -> str:
    regret = standing.judgement.regret_of(standing.index)
    return NONE if regret is None else at_most(board.names.metric, regret, board.verdict.within).partition(" ")[0]


def _p_best(_: Leaderboard, standing: Standing) -> str:
    if standing.p_best is None:
        return NONE
    text = probability(standing.p_best).replace(" ", "")
    return f"~{text}" if standing.n < CALIBRATED_SEEDS else text


def _stopped(_: Leaderboard, standing: Standing) -> str:
    after = sorted(entry.stopped for entry in standing.scored.entries if entry.stopped)
    if not after:
        return "0"
    when = f"epoch {after[0]}" if after[0] == after[-1] else f"epochs {after[0]} to {after[-1]}"
    return f"{len(after)} ({when})"


def _rate(_: Leaderboard, standing: Standing) -> str:
    low, high = standing.diverged_low, standing.diverged_high
    return NONE if low is None or high is None else f"{math.floor(100 * low)} to {math.ceil(100 * high)} %"


@dataclass(frozen=True)
class Standing:
    """One configuration's place on the leaderboard. Each of its figures is declared here, and nowhere else.

    Attributes:
        scored: The configuration with its scores.
        options: The options that vary in the sweep.
        index: Its rank less one.
        judgement: What may be said about the sweep.
    """

    scored: Scored
    options: Mapping[str, Any]
    index: int
    judgement: Judgement

    @Column("rank", "the place by the mean", _rank, spare=10)
    def rank(self) -> int:
        """From 1, by the rule of `orchestrator.analysis.leaderboard.scores`."""
        return self.index + 1

    @Column("n", "jobs that trained, of all jobs", _trained, spare=6, first="high")
    def n(self) -> int:
        """Number of jobs that trained, without those that diverged. Scores are theirs."""
        return len(self.scored.trained)

    @Figure
    def planned(self) -> int:
        """Number of jobs."""
        return len(self.scored.entries)

    @Column("mean", "the mean over the jobs that trained", first="score")
    def mean(self) -> float | None:
        """Mean of their scores; None without any."""
        return self.scored.mean

    @Column("interval", "where the mean over all seeds is", _interval, spare=8, first="score")
    def low(self) -> float | None:
        """Lower end of the interval for the mean over all seeds, at 95 %; None for fewer than two seeds."""
        return ends(self._interval)[0]

    @Figure
    def high(self) -> float | None:
        """Its upper end."""
        return ends(self._interval)[1]

    @Figure
    def method(self) -> str | None:
        """What the interval is: `t`, or `confidence sequence`, which stays valid however often one looks.

        With `, chosen`, it is the leader's, whose lower end allows for its choice.
        """
        return None if self._interval is None else self._interval.method

    @Column(
        "on new samples",
        "the interval for new samples, too: the other one is for these validation samples",
        functools.partial(_interval, suffix="_new"),
        tables="wide",
        order=1,
        first="score",
    )
    def low_new(self) -> float | None:
        """Lower end of the interval for the mean on new samples and seeds.

        None if a job's answers are missing, if each seed draws its split, or after a look: it is valid for one only.
        """
        return ends(self._on_new_samples)[0]

    @Figure
    def high_new(self) -> float | None:
        """Its upper end."""
        return ends(self._on_new_samples)[1]

    @Column(
        "best?",
        "whether the configuration can be the best",
        _may_be_best,
        tables="telling",
        tells=lambda board, _: len(board.standings) > 1,
        spare=7,
        first="high",
    )
    def contender(self) -> bool:
        """Whether it can be the best: no other one is proven to be better."""
        return self.judgement.contends(self.index)

    @Column(
        "regret",
        "the most by which the best configuration can be better",
        _regret,
        tables="telling",
        tells=lambda board, each: len(board.standings) > 1 and _regret(board, each) != NONE,
        spare=5,
    )
    def regret(self) -> float | None:
        """How much worse than the best configuration it is at most, in the metric's unit; None if it is not known."""
        return rounded(self.judgement.regret_of(self.index))

    @Column(
        "P(best)",
        "the probability that it is the best of those that train as reliably as the leader",
        _p_best,
        tables="telling",
        spare=4,
        first="high",
    )
    def p_best(self) -> float | None:
        """Probability that it is the best of those that train as reliably as the leader.

        None if it cannot be, or if a contender has fewer than five seeds.
        """
        return rounded(self.judgement.chance(self.index))

    @Column("diverged", "jobs that diverged", tables="telling", spare=3, first="high")
    def diverged(self) -> int:
        """Jobs that diverged."""
        return self.scored.diverged

    @Column(
        "rate of divergence",
        "which share of all seeds may diverge, at 95 %",
        _rate,
        tables="wide",
        tells=lambda _, each: each.diverged > 0,
        first="high",
    )
    def diverged_low(self) -> float | None:
        """Lower end of the interval for the rate of divergence, at 95 %; None without a result."""
        return ends(self._divergence)[0]

    @Figure
    def diverged_high(self) -> float | None:
        """Its upper end."""
        return ends(self._divergence)[1]

    @Column(
        "stopped",
        "jobs that trained, and stopped before their last epoch",
        _stopped,
        tables="telling",
        spare=3,
        first="high",
    )
    def stopped(self) -> int:
        """Jobs that trained, and stopped before their last epoch."""
        return sum(entry.stopped > 0 for entry in self.scored.entries)

    @Column("failed", "jobs without a result, because training failed", tables="telling", spare=1, first="high")
    def failed(self) -> int:
        """Jobs without a result that failed."""
        return self.scored.count("failed")

    @Column("cancelled", "jobs without a result, because they were cancelled", tables="telling", spare=2, first="high")
    def cancelled(self) -> int:
        """Jobs without a result that were cancelled."""
        return self.scored.count("cancelled")

    @Column(
        "honest",
        "what the first row is worth, had no seed had a part in choosing it",
        tables="wide",
        order=1,
        first="score",
    )
    def honest_mean(self) -> float | None:
        """For the first configuration only: its mean, corrected for its selection, which flatters it."""
        return rounded(self.judgement.honest_mean) if self.rank == 1 else None

    @Column("sd", "the standard deviation over the seeds", tables="wide", order=1)
    def std(self) -> float | None:
        """Sample standard deviation (divisor n - 1); None for fewer than two seeds."""
        trained = self.scored.trained
        return statistics.stdev(trained.values()) if len(trained) > 1 else None

    @Column("best seed", "the best result of a seed", tables="wide", order=1, first="score")
    def best(self) -> float | None:
        """The best score."""
        return None if self.scored.best is None else self.scored.best.score

    @Column("worst seed", "the worst result of a seed", tables="wide", order=1, first="score")
    def worst(self) -> float | None:
        """The worst one."""
        return self.scored.worst

    @Figure
    def best_seed(self) -> int | None:
        """The first seed that reached `best`."""
        return None if self.scored.best is None else self.scored.best.seed

    @Figure
    def best_weights_sha256(self) -> str | None:
        """SHA-256 of the weights of that job."""
        return None if self.scored.best is None else self.scored.best.weights_sha256

    @functools.cached_property
    def _interval(self) -> Interval | None:
        return self.judgement.interval(self.scored)

    @functools.cached_property
    def _on_new_samples(self) -> Interval | None:
        return self.judgement.on_new_samples(self.scored)

    @functools.cached_property
    def _divergence(self) -> Interval | None:
        results = self.n + self.diverged
        return clopper_pearson(self.diverged, results) if results else None

    @functools.cached_property
    def metrics(self) -> Mapping[str, float]:
        """The mean of each metric after the last epoch, over the jobs that trained; empty without one."""
        trained = [self.judgement.rows[each.key] for each in self.scored.entries if each.status == "succeeded"]
        own = self.judgement.names.own_metric.name
        further = {name: [row.others[name][-1] for row in trained] for name in (trained[0].others if trained else ())}
        series = {own: [row.validation_score[-1] for row in trained], **further}
        return {name: statistics.fmean(values) for name, values in series.items() if values}

    @property
    def jobs(self) -> Sequence[Entry]:
        """Its jobs, in the sweep's order."""
        return self.scored.entries

    @functools.cached_property
    def figures(self) -> Mapping[str, Any]:
        """All figures by name."""
        return {name: getattr(self, name) for name in FIGURES}

    def as_dict(self) -> dict[str, Any]:
        """Return what `leaderboard.json` has of it: rank, options, the other figures, further metrics, and jobs."""
        jobs = [each.model_dump() for each in self.jobs]
        metrics = {"metrics": self.metrics} if len(self.metrics) > 1 else {}
        return {"rank": self.rank, "options": self.options, **self.figures, **metrics, "jobs": jobs}

    def __repr__(self) -> str:
        return f"<Standing {self.rank}: {dict(self.options)}, mean {self.mean}, n {self.n}>"


FIGURES: Mapping[str, Figure[Any]] = {name: each for name, each in vars(Standing).items() if isinstance(each, Figure)}


# The leaderboard


class Common(BaseModel, frozen=True):
    """What all configurations of a sweep have in common.

    Attributes:
        trainer: The trainer's name.
        version: The version of its jobs; None if they have several.
        metric: The metric's name.
        higher_is_better: Whether the metric is better when it is higher.
        is_share: Whether it is the share of right answers, from 0 to 1.
        scoring: How a job is scored: `last`, `best` or `mean-K`.
        model: The trainer's name for the models, such as `network 784-128-64-10`; empty if it has none.
        options: The options that do not vary.
        data: The data set, as the trainer names it.
        dataset: The data set's digest.
    """

    trainer: str
    version: int | None
    metric: str
    higher_is_better: bool
    is_share: bool
    scoring: str
    model: str
    options: dict[str, Any]
    data: str
    dataset: str


@dataclass(frozen=True)
class Leaderboard:
    """A sweep's configurations by rank.

    Attributes:
        jobs: The sweep's jobs by key; at least one.
        data: The source of the data set.
        judgement: What may be said about their configurations.
    """

    jobs: Mapping[str, Job]
    data: str
    judgement: Judgement

    @functools.cached_property
    def standings(self) -> tuple[Standing, ...]:
        """The configurations."""
        ranked = enumerate(self.judgement.scored)
        return tuple(Standing(each, self.judgement.varying(each), i, self.judgement) for i, each in ranked)

    @functools.cached_property
    def common(self) -> Common:
        """What does not vary."""
        job, names = next(iter(self.jobs.values())), self.names
        versions = {each.version for each in self.jobs.values()}
        return Common(
            trainer=job.trainer,
            version=job.version if len(versions) == 1 else None,
            metric=names.metric.name,
            higher_is_better=names.metric.higher_is_better,
            is_share=names.metric.is_share,
            scoring=str(self.judgement.scoring),
            model=job.trained_by.model_name(names.common, job.dataset)[0],
            options=dict(names.common),
            data=job.trained_by.data_name(self.data, job.dataset),
            dataset=job.dataset,
        )

    @functools.cached_property
    def in_common(self) -> str:
        """`common` as one line, without options that the models' name tells."""
        common, job, model = self.common, next(iter(self.jobs.values())), self.names.model
        told_by_model = job.trained_by.model_name(common.options, job.dataset)[1]
        infos = {name: model.model_fields[name] for name in common.options if name not in told_by_model}
        told = [
            f"{describe.heading(model, name)} {describe.shown(info, common.options[name])}"
            for name, info in infos.items()
            if describe.option(info).always or info.is_required() or common.options[name] != info.default
        ]
        parts = [] if common.trainer == DEFAULT else [f"trainer {common.trainer}"]
        parts += [common.model] if common.model else []
        parts += [*told, f"data set {common.data} ({common.dataset[:12]})"]
        # The data set's name may be a folder's, with line breaks.
        return one_line(", ".join(parts)) + ("; other options at their defaults" if len(told) < len(infos) else "")

    @property
    def names(self) -> JobNames:
        """What varies, and how it is shown."""
        return self.judgement.names

    @property
    def verdict(self) -> Verdict:
        """The conclusion."""
        return self.judgement.verdict

    def name(self, options: Mapping[str, Any]) -> str:
        """Return the varying options with their values: `learning rate 0.1`; a fixed text without any."""
        return self.names.configuration(options) or "the only configuration"
