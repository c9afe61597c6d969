"""What all configurations of a sweep have in common, as data and as one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from nn.options.describe import heading, option, shown
from orchestrator.analysis.leaderboard.scoring import Scoring
from orchestrator.sweeps.names import JobNames
from worker.job import Job
from worker.trainers.registry import DEFAULT


class Common(BaseModel):
    """What all configurations of a sweep have in common.

    Attributes:
        trainer: The trainer's name.
        version: The version of its jobs; None if they have several.
        metric: The name of what was measured.
        higher_is_better: Whether the metric is better when it is higher.
        is_share: Whether it is the share of right answers, from 0 to 1.
        scoring: Which number of a job counts: `last`, `best` or `mean-K`.
        model: The trainer's name of the models, such as `network 784-128-64-10`; empty if it has none.
        options: The options that do not vary.
        data: The data set, as the trainer names it.
        dataset: The data set's digest.
    """

    model_config = ConfigDict(frozen=True)

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


def common_of(jobs: Mapping[str, Job], names: JobNames, data: str, scoring: Scoring) -> tuple[Common, str]:
    """Return what the jobs have in common, and the line that says so.

    Args:
        jobs: The jobs, by key.
        names: Their names.
        data: The source of the data set.
        scoring: Which number of a job counts.
    """
    job = next(iter(jobs.values()))
    versions = {each.version for each in jobs.values()}
    model, told = job.trained_by.model_name(names.common, job.dataset)
    common = Common(
        trainer=job.trainer,
        version=job.version if len(versions) == 1 else None,
        metric=names.metric.name,
        higher_is_better=names.metric.higher_is_better,
        is_share=names.metric.is_share,
        scoring=str(scoring),
        model=model,
        options=dict(names.common),
        data=job.trained_by.data_name(data, job.dataset),
        dataset=job.dataset,
    )
    return common, common_text(common, names.model, told)


def common_text(common: Common, model: type[BaseModel], told_by_model: Collection[str]) -> str:
    """Return what all configurations have in common, as one line.

    Args:
        common: What they have in common.
        model: The model of the options.
        told_by_model: The options that the name of the models tells.
    """

    def is_worth_telling(name: str) -> bool:
        info = model.model_fields[name]
        return option(info).always or info.is_required() or common.options[name] != info.default

    names = [name for name in common.options if name not in told_by_model]
    told = [name for name in names if is_worth_telling(name)]
    parts = [] if common.trainer == DEFAULT else [f"trainer {common.trainer}"]
    parts += [common.model] if common.model else []
    parts += [f"{heading(model, name)} {shown(model.model_fields[name], common.options[name])}" for name in told]
    parts.append(f"data set {common.data} ({common.dataset[:12]})")
    return ", ".join(parts) + ("; other options at their defaults" if len(told) < len(names) else "")
