"""The statistics of a leaderboard: intervals, contenders, P(best) and the honest mean of its ranked configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.leaderboard.ranking import is_candidate, worst_of
from orchestrator.analysis.leaderboard.scores import Scored
from orchestrator.analysis.leaderboard.scoring import Scoring
from orchestrator.analysis.statistics.best import p_best
from orchestrator.analysis.statistics.contenders import contenders
from orchestrator.analysis.statistics.honest import honest_mean
from orchestrator.analysis.statistics.images import new_images_interval
from orchestrator.analysis.statistics.intervals import Interval, confidence_sequence, t_interval
from orchestrator.folder.rows import Row
from worker.records.answers import unpack
from worker.trainers.protocol import Metric

#: The probability that the best configuration is dropped from the contenders.
ALPHA = 0.05
#: Of more configurations, not all pairs are compared: each is compared with the first ones, and with its neighbours.
MOST_IN_PAIRS = 1000
FIRST_ONES = 100
#: Of more configurations, the model of P(best) is not asked about the last ones.
MOST_IN_MODEL = 1000


@dataclass(frozen=True)
class Place:
    """What comparisons say about a configuration.

    Attributes:
        rank_low: The best rank that it may have.
        rank_high: The worst one.
        contender: Whether it may be the best.
        beaten_by_leader: Whether the first configuration beats it.
    """

    rank_low: int
    rank_high: int
    contender: bool
    beaten_by_leader: bool


def oriented(scored: Scored) -> dict[int, float]:
    """Return the scores of the seeds that trained, with the sign that makes higher better."""
    sign = 1.0 if scored.higher_is_better else -1.0
    return {seed: sign * score for seed, score in scored.trained.items()}


def mean_interval(scored: Scored, *, sequential: bool) -> Interval | None:
    """Return the interval for the mean of the jobs that trained; None where there is none."""
    values = list(scored.trained.values())
    return confidence_sequence(values) if sequential else t_interval(values)


def places(configurations: Sequence[Scored], *, sequential: bool) -> list[Place | None]:
    """Compare the candidates among some configurations; the others have no place.

    One beats another if it ranks above it, and if the test on the jobs that trained says so, at `ALPHA` for all
    comparisons of one configuration together (`orchestrator.analysis.statistics.contenders`). The rank adds nothing
    where nothing diverged and all have the same seeds. Elsewhere it makes sure that the first one is a contender; and
    because it only ever keeps more of them, the guarantee stands.

    Args:
        configurations: By rank.
        sequential: Whether to compare by confidence sequences.
    """
    scores = [oriented(each) for each in configurations if is_candidate(each)]
    beaten_by, beats, by_leader = _counts(scores, sequential=sequential)
    found = [
        Place(1 + int(beaten_by[i]), len(scores) - int(beats[i]), not beaten_by[i], bool(by_leader[i]))
        for i in range(len(scores))
    ]
    return [*found, *(None for _ in range(len(configurations) - len(scores)))]


def _counts(
    scores: Sequence[Mapping[int, float]], *, sequential: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return by how many each candidate is beaten, how many it beats, and whether the first one beats it."""
    k = len(scores)
    beaten_by, beats, by_leader = np.zeros(k, np.int64), np.zeros(k, np.int64), np.zeros(k, bool)
    if k < 2 or max(map(len, scores)) < 2:
        return beaten_by, beats, by_leader
    first = min(k, MOST_IN_PAIRS if k <= MOST_IN_PAIRS else FIRST_ONES)
    for start in range(0, k - first, MOST_IN_PAIRS) or range(1):
        chunk = np.r_[:first, first + start : min(k, first + start + MOST_IN_PAIRS)]
        level = ALPHA * (len(chunk) - 1) / (k - 1)
        wins = np.triu(contenders([scores[i] for i in chunk], level, sequential=sequential).beats, 1)
        fresh = slice(None) if start == 0 else slice(first, None)
        beaten_by[chunk[fresh]] += wins.sum(axis=0)[fresh]
        by_leader[chunk[fresh]] = wins[0][fresh]
        beats[chunk] += wins[:, fresh].sum(axis=1)
    return beaten_by, beats, by_leader


def probabilities(configurations: Sequence[Scored]) -> list[float | None]:
    """Return P(best) of each configuration, given by rank; None where it cannot be told."""
    asked = [oriented(each) for each in configurations[:MOST_IN_MODEL] if is_candidate(each)]
    found = p_best(asked) if len(asked) > 1 else ()
    return [*found, *(None for _ in range(len(configurations) - len(found)))]


def honest_leader(
    configurations: Sequence[Scored], rows: Mapping[str, Row], metric: Metric, scoring: Scoring
) -> float | None:
    """Return what the first configuration is worth, had each seed had no part in choosing it; None if unknown.

    The choice goes by the ranking's mean, in which a job that diverged counts as the worst score of the sweep. With the
    scoring `best`, the choice of the epoch is part of the procedure, too. A leader with one seed has no such estimate:
    without that seed, it cannot be chosen.
    """
    candidates = [each for each in configurations[:MOST_IN_MODEL] if is_candidate(each)]
    worst = worst_of(configurations)
    if not candidates or worst is None or len(candidates[0].trained) + candidates[0].diverged < 2:
        return None
    sign = 1.0 if metric.higher_is_better else -1.0
    chosen = [(each, oriented(each)) for each in candidates]
    if scoring.kind == "best":
        chosen = [(each, by_epoch) for each in candidates for by_epoch in _by_epoch(each, rows, sign)]
    merits = [
        scores | {entry.seed: sign * worst for entry in each.entries if entry.status == "diverged"}
        for each, scores in chosen
    ]
    value = honest_mean([scores for _, scores in chosen], merits)
    return None if value is None else sign * value


def _by_epoch(scored: Scored, rows: Mapping[str, Row], sign: float) -> list[dict[int, float]]:
    """Return for each epoch the metric of each seed that trained."""
    curves = {
        entry.seed: rows[key].validation_score
        for entry, key in zip(scored.entries, scored.keys, strict=True)
        if entry.status == "succeeded"
    }
    epochs = min(map(len, curves.values()))
    return [{seed: sign * curve[epoch] for seed, curve in curves.items()} for epoch in range(epochs)]


def on_new_images(scored: Scored, rows: Mapping[str, Row]) -> Interval | None:
    """Return an interval for the metric on new samples, by seeds and samples; None without the answers of every job."""
    answers = answers_of(scored, rows)
    return new_images_interval(np.array(list(answers.values()))) if answers and len(answers) > 1 else None


def answers_of(scored: Scored, rows: Mapping[str, Row]) -> dict[int, NDArray[np.bool_]] | None:
    """Return which validation samples each seed that trained answered correctly, shape (n_validation,).

    A foreign folder may hold any answers: those that do not give the job's metric count as missing.

    Returns:
        The answers by seed; None if a job has none, or another number of them.
    """
    answers: dict[int, NDArray[np.bool_]] = {}
    for entry, key in zip(scored.entries, scored.keys, strict=True):
        if entry.status == "succeeded":
            bits = _answers(rows[key])
            if bits is None or any(len(bits) != len(each) for each in answers.values()):
                return None
            answers[entry.seed] = bits
    return answers


def _answers(row: Row) -> NDArray[np.bool_] | None:
    if row.correct is None:
        return None
    try:
        bits = unpack(row.correct)
    except ValueError:
        return None
    return bits if abs(bits.mean() - row.validation_score[-1]) < 1e-6 else None
