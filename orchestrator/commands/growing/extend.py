"""`extend`: trains a sweep under further seeds, for more epochs, or with further values of what varies."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from nn.errors import Described, InvalidInputError
from nn.options.describe import word, written
from orchestrator.commands.display import Display, Tell, ignore, silent
from orchestrator.commands.growing.rounds import GrowthPlan, begin, planned
from orchestrator.commands.result import SweepResult
from orchestrator.commands.sweep import check_values, plan_resumption, train
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.sweeps.axes.ranges import Range
from orchestrator.sweeps.fields import seeds_as_text
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Round
from orchestrator.sweeps.specification import SweepSpecification
from worker.settings import Settings

#: The option that may be extended although it is fixed: training goes on.
EPOCHS = "epochs"


def plan_extension(
    folder: SweepFolder,
    settings: Settings,
    *,
    seeds: Sequence[int] = (),
    values: Mapping[str, Sequence[Any]] | None = None,
    workers: int | None = None,
    tell: Tell = ignore,
) -> GrowthPlan:
    """Check everything about extending a sweep that can be checked without beginning.

    Args:
        folder: The sweep's folder.
        settings: Name the cluster; without a broker's address, an embedded one is used.
        seeds: Further seeds for all configurations.
        values: Further values, by option that varies; `epochs` may be fixed so far.
        workers: Processes of an embedded cluster; None for one per core.
        tell: Receives a sentence while Redis does not answer.

    Raises:
        InvalidInputError: there is nothing to add, or it cannot be added: the error names the option or `seeds`.
        SweepNotFoundError: the folder is not a sweep's.
        SweepExistsError: as for `plan_resumption`.
        DatasetError: the data set cannot be read.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    plan = plan_resumption(folder, settings, workers=workers, tell=tell)
    grid = {name: tuple(each) for name, each in (values or {}).items()}
    make_round = functools.partial(_round, seeds=tuple(seeds), grid=grid)
    planning = planned(plan, make_round)
    further = make_round(plan.manifest, {})
    if further is not None:
        check_values(further.extend(plan.manifest.grown), plan.manifest.dataset, settings)
    return planning


def extend(
    plan: GrowthPlan, *, reuse: bool = True, display: Display = silent, interruption: Interruption | None = None
) -> SweepResult:
    """Extend a sweep as planned, and train every job that has no row yet.

    Arguments and errors: see `orchestrator.commands.growing.rounds.begin` and `orchestrator.commands.sweep.train`.
    """
    with begin(plan, interruption) as session:
        return train(session, reuse=reuse, display=display)


def _round(
    manifest: Manifest, _rows: Mapping[str, Row], *, seeds: tuple[int, ...], grid: Mapping[str, tuple[Any, ...]]
) -> Round | None:
    if not seeds and not grid:
        raise InvalidInputError("seeds", Described("missing"), "further seeds, or further values of an option")
    further = Round(kind="extend", seeds=seeds, grid=dict(grid))
    if further in manifest.rounds:
        return None
    refuse_unfinished(manifest.specification)
    grown = manifest.grown
    known = [seed for seed in seeds if seed in grown.seeds]
    if known:
        allowed = f"seeds that the sweep does not have; it has {seeds_as_text(grown.seeds)}"
        raise InvalidInputError("seeds", seeds_as_text(known), allowed)
    for name, values in grid.items():
        _check_values(grown, name, values)
    return further


def refuse_unfinished(specification: SweepSpecification) -> None:
    """Refuse a sweep whose sampler has not chosen all of its configurations.

    Raises:
        InvalidInputError: it has not.
    """
    if specification.remaining:
        left = f"one whose sampler has {specification.remaining} more configurations to choose"
        allowed = "a sweep whose configurations are known (go on with it by orchestrator sweep --resume)"
        raise InvalidInputError("NAME", Described(left), allowed)


def _check_values(grown: SweepSpecification, name: str, values: Sequence[Any]) -> None:
    """Refuse values that cannot be added to an option.

    Raises:
        InvalidInputError: names the option.
    """
    own, given = grown.values(name), ",".join(map(written, values))
    if grown.sampling is not None:
        allowed = f"nothing, because the sampler {grown.sampling.sampler} chose the sweep's configurations"
        raise InvalidInputError(name, given, f"{allowed} (--seeds extends it)")
    if any(isinstance(value, Range) for value in values):
        raise InvalidInputError(name, given, f"a range with a number of points, such as {values[0]}:5")
    if name == EPOCHS and min(values) <= max(own):
        raise InvalidInputError(name, given, f"more than {max(own)}, the epochs that the sweep has")
    if name not in (*grown.grid, EPOCHS):
        varies = ", ".join(word(grown.model, each) for each in grown.grid) or "none"
        raise InvalidInputError(
            name,
            given,
            f"only an option that varies in the sweep ({varies}), or more epochs; here it is fixed at "
            f"{written(own[0])}: to vary it, start a new sweep with --spec and this sweep's sweep.json, which reuses "
            "the results",
        )
    if any(value in own for value in values):
        allowed = f"values that the sweep does not have; it has {', '.join(map(written, own))}"
        raise InvalidInputError(name, given, allowed)
