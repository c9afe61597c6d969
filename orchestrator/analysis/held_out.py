"""Evaluates one configuration's models on the test split: the samples held out of training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from nn.errors import SeedsweepError
from orchestrator.analysis.configuration import Chosen
from orchestrator.analysis.lookup import artifact, load_data
from orchestrator.analysis.statistics.images import new_images_interval
from orchestrator.analysis.statistics.intervals import Interval, t_interval
from orchestrator.errors import HeldOutError
from orchestrator.folder.reading import Estimate, Reading, ReadJob
from orchestrator.folder.sweep_folder import SweepFolder
from worker.job import Job
from worker.text import reason
from worker.trainers.protocol import MAX_SCORE, Data, Evaluated


def evaluate(folder: SweepFolder, chosen: Chosen, cache_dir: Path) -> Reading:
    """Return the record of a configuration's trained jobs on the test split; diverged jobs are left out.

    Args:
        folder: The sweep's folder, which has the weights.
        chosen: The configuration; at least one of its jobs trained.
        cache_dir: Where prepared data sets are kept.

    Raises:
        DatasetError: the data set is missing, or is not the one that the sweep was trained on.
        WeightsError: the weights of a job are missing or damaged.
        HeldOutError: the trainer cannot evaluate a model.
    """
    sweep = chosen.sweep
    rows = {key: sweep.rows[key] for key in chosen.scored.keys if key in sweep.rows}
    jobs = [(sweep.jobs[key], row) for key, row in rows.items() if row.status == "succeeded"]
    blobs = [artifact(folder, job, str(row.weights_sha256)) for job, row in jobs]
    data = load_data(chosen.sweep.manifest, chosen.configuration, cache_dir)
    found = [_evaluated(job, data, blob) for (job, _), blob in zip(jobs, blobs, strict=True)]
    options = chosen.configuration.options
    return Reading(
        read=datetime.now(UTC).isoformat(timespec="seconds"),
        chosen="leader" if chosen.is_leader else "named",
        name=chosen.words,
        options=options.model_dump(mode="json"),
        test_size=chosen.configuration.trained_by.held_out(options),
        dataset=chosen.configuration.dataset,
        metric=sweep.names.metric.name,
        validation=_estimate(
            list(chosen.scored.trained.values()),
            sweep.judgement.interval(chosen.scored),
            sweep.judgement.on_new_samples(chosen.scored),
        ),
        test=_test_estimate(found, is_share=sweep.names.metric.is_share),
        diverged=chosen.scored.diverged,
        jobs=[
            ReadJob(
                job=job.key,
                seed=job.seed,
                weights_sha256=str(row.weights_sha256),
                validation_score=row.validation_score[-1],
                test_score=result.value,
            )
            for (job, row), result in zip(jobs, found, strict=True)
        ],
    )


def _evaluated(job: Job, data: Data, blob: bytes) -> Evaluated:
    try:
        result = job.trained_by.test(job.options, data, blob)
        value = float(result.value)
    except (SeedsweepError, MemoryError):
        raise
    except Exception as error:
        raise HeldOutError(f"The trainer {job.trainer} cannot evaluate the test split: {reason(error)}") from None
    if not (math.isfinite(value) and abs(value) <= MAX_SCORE):
        raise HeldOutError(f"The trainer {job.trainer} reports {value} on the test split; allowed: a finite number")
    return result


def _test_estimate(results: Sequence[Evaluated], *, is_share: bool) -> Estimate:
    values = [float(each.value) for each in results]
    answers = [np.asarray(each.correct, bool) for each in results if each.correct is not None]
    known = len(answers) == len(results) and len({each.shape for each in answers}) == 1
    on_new = new_images_interval(np.array(answers)) if known else None
    ends = (each and each.possible(is_share=is_share) for each in (t_interval(values), on_new))
    return _estimate(values, *ends)


def _estimate(values: Sequence[float], interval: Interval | None, new: Interval | None) -> Estimate:
    return Estimate(
        mean=statistics.mean(values),
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        method=None if interval is None else interval.method,
        low_new=None if new is None else new.low,
        high_new=None if new is None else new.high,
    )
