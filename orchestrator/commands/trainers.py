"""`trainers`: which trainers are installed here, and which the workers of a cluster have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nn.errors import InvalidInputError, SeedsweepError
from nn.options.describe import allowed, help_text
from worker.trainers import registry

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster


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
        version: The version that is installed here; None if none is, or it cannot be used.
        problem: Why it cannot be used here; None if it can.
        metric: What it measures.
        exact: Whether the same job gives the same bits on every CPU.
        data: The data sets that it takes, as the end of a sentence.
        options: Its options, which may depend on those that were given.
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


def trainers(cluster: Cluster | None = None, given: Mapping[str, str] | None = None) -> list[TrainerFacts]:
    """Return the trainers that are installed here, then those that only workers have.

    Args:
        cluster: The cluster whose workers are asked; None for none.
        given: Options on which others depend (`Trainer.options_for`). Only trainers that have them are listed.

    Raises:
        InvalidInputError: no trainer has the options, or one rejects them.
    """
    found: dict[str, list[tuple[str, tuple[int, ...], str | None]]] = {name: [] for name in registry.names()}
    for worker in cluster.online_workers() if cluster is not None else ():
        has = worker.name, tuple(worker.versions), worker.dataset
        found.setdefault(worker.trainer, []).append(has)
    listed = [_facts(name, tuple(workers), given or {}) for name, workers in found.items()]
    fitting = [each for each in listed if not given or given.keys() <= {option.name for option in each.options}]
    if not fitting:
        raise InvalidInputError("--set", next(iter(given or {})), "an option of an installed trainer")
    return fitting


def _facts(
    name: str, workers: tuple[tuple[str, tuple[int, ...], str | None], ...], given: Mapping[str, str]
) -> TrainerFacts:
    if name not in registry.names():
        return TrainerFacts(name, None, "it is not installed here", "", False, "", (), workers)
    try:
        made = registry.trainer(name)
        model = made.options_for(given) if given.keys() <= made.Options.model_fields.keys() else made.Options
    except InvalidInputError:
        raise
    except SeedsweepError as error:
        return TrainerFacts(name, None, str(error), "", False, "", (), workers)
    options = tuple(
        OptionFacts(each, help_text(model, each), allowed(info)) for each, info in model.model_fields.items()
    )
    return TrainerFacts(name, made.version, None, made.metric.name, made.exact, made.data_help, options, workers)
