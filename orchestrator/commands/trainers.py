"""`trainers`: which trainers are installed here, and which the workers of a cluster have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nn.errors import SeedsweepError
from nn.options.describe import allowed, help_text
from worker.trainers import registry

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster
    from worker.trainers.registry import AnyTrainer


@dataclass(frozen=True)
class OptionFacts:
    """An option of a trainer.

    Attributes:
        name: Its name.
        help: What it means, with its default.
        allowed: The values that are allowed, as the end of a sentence.
    """

    name: str
    help: str
    allowed: str


@dataclass(frozen=True)
class TrainerFacts:
    """A trainer, here and on the workers.

    Attributes:
        name: Its name.
        version: The version that is installed here; None if it is not, or cannot be used.
        problem: Why it cannot be used here; None if it can.
        metric: What it measures.
        exact: Whether the same job gives the same bits on every CPU.
        data: The data sets that it takes, as the end of a sentence.
        options: Its options; those of an estimator's parameters are not among them.
        workers: The workers that have it, each with the versions that it trains and the digest of its data set.
    """

    name: str
    version: int | None
    problem: str | None
    metric: str
    exact: bool
    data: str
    options: tuple[OptionFacts, ...]
    workers: tuple[tuple[str, tuple[int, ...], str | None], ...] = ()


def trainers(cluster: Cluster | None = None) -> list[TrainerFacts]:
    """Return the trainers that are installed here, then those that only workers have.

    Args:
        cluster: The cluster whose workers are asked; None for none.
    """
    found: dict[str, list[tuple[str, tuple[int, ...], str | None]]] = {name: [] for name in registry.names()}
    for worker in cluster.online_workers() if cluster is not None else ():
        has = worker.name, tuple(worker.versions), worker.dataset
        found.setdefault(worker.trainer, []).append(has)
    return [_facts(name, tuple(workers)) for name, workers in found.items()]


def _facts(name: str, workers: tuple[tuple[str, tuple[int, ...], str | None], ...]) -> TrainerFacts:
    if name not in registry.names():
        return TrainerFacts(name, None, "it is not installed here", "", False, "", (), workers)
    try:
        made = registry.trainer(name)
    except SeedsweepError as error:
        return TrainerFacts(name, None, str(error), "", False, "", (), workers)
    options = tuple(
        OptionFacts(each, help_text(made.Options, each), allowed(info))
        for each, info in made.Options.model_fields.items()
    )
    metric = _metric_name(made)
    return TrainerFacts(name, made.version, None, metric, made.exact, made.data_help, options, workers)


def _metric_name(made: AnyTrainer) -> str:
    return made.metric.name
