"""`compare`: two configurations of one sweep or of two, from their folders alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nn.errors import InvalidInputError
from orchestrator.analysis.comparison import Comparison, comparison
from orchestrator.analysis.configuration import FIELD, Chosen, choose
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import IncomparableError
from orchestrator.folder.sweep_folder import SweepFolder
from worker.trainers.protocol import MAX_SCORE


def compare(
    first: SweepFolder,
    second: SweepFolder,
    first_words: Sequence[str] = (),
    second_words: Sequence[str] = (),
    *,
    tolerance: float = 0.0,
    metric: str | None = None,
) -> Comparison:
    """Compare a configuration of one sweep with one of another, or of the same. Takes no lock and writes nothing.

    Args:
        first: The folder of the first sweep, which may be running.
        second: The folder of the second sweep; it may be the first one.
        first_words: Name a configuration of the first sweep (`orchestrator.analysis.selection`); none for its leader.
        second_words: Likewise, of the second sweep.
        tolerance: The largest difference that does not matter, in the metric's unit; 0 if every one does.
        metric: How a job is scored, and by which metric (`Scoring.parse`); None for the sweep's way.

    Raises:
        SweepNotFoundError: a folder contains no sweep, or a leader is wanted and there is none.
        SweepUnreadableError: a folder cannot be read.
        IncomparableError: the sweeps have different data sets, metrics, or kinds of splits.
        InvalidInputError: words fit no configuration or several; a sweep lacks the metric; both are the same
            configuration; or the tolerance is out of range.
    """
    one = Sweep.read(first, metric)
    other = one if second.path.resolve() == first.path.resolve() else Sweep.read(second, str(one.scoring))
    _check_sweeps(one, other)
    a, b = choose(one, first_words), choose(other, second_words)
    _check_tolerance(tolerance, a)
    if a.configuration == b.configuration:
        allowed = "two different ones: both are the same, of which any difference is chance"
        raise InvalidInputError(FIELD, a.words or a.sweep.name, allowed)
    if a.scored.draws_split != b.scored.draws_split:
        own, same = (one, other) if a.scored.draws_split else (other, one)
        raise IncomparableError(
            f"The sweeps {one.name} and {other.name} cannot be compared: each seed of {own.name} draws its own "
            f"split, and all seeds of {same.name} have the same"
        )
    return comparison(a, b, tolerance)


def _check_sweeps(a: Sweep, b: Sweep) -> None:
    """Refuse two sweeps whose numbers are not comparable."""
    names = f"The sweeps {a.name} and {b.name} cannot be compared"
    manifests = (a.manifest, b.manifest)
    if a.manifest.dataset != b.manifest.dataset:
        sets = [f"{each.specification.data} ({each.dataset[:12]})" for each in manifests]
        raise IncomparableError(f"{names}: they have the data sets {sets[0]} and {sets[1]}")
    metrics = (a.names.metric, b.names.metric)
    if metrics[0].name != metrics[1].name:
        raise IncomparableError(f"{names}: they have the metrics {metrics[0].name} and {metrics[1].name}")
    if metrics[0] != metrics[1]:
        trainers = " and ".join(each.specification.trainer for each in manifests)
        raise IncomparableError(f"{names}: the trainers {trainers} mean different things by {metrics[0].name}")


def _check_tolerance(tolerance: float, chosen: Chosen) -> None:
    is_share = chosen.sweep.names.metric.is_share
    most = 1.0 if is_share else MAX_SCORE
    if not (math.isfinite(tolerance) and 0 <= tolerance < most):
        below = "less than 1, because the metric is a share" if is_share else f"less than {MAX_SCORE:g}"
        raise InvalidInputError("within", tolerance, f"a number from 0 and {below}")
