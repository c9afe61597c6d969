"""`test`: evaluates the chosen configuration on the samples that were held out of training, once."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from nn.errors import InvalidInputError
from orchestrator.analysis.lookup import FIELD, Chosen, artifact, choose, load_data, restore
from orchestrator.analysis.statistics.images import new_images_interval
from orchestrator.analysis.statistics.intervals import Interval, ends_by_name, t_interval
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Tell, ignore
from orchestrator.errors import HeldOutError
from orchestrator.folder.reading import FILE, Estimate, Reading, ReadJob
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted, have
from worker.job import Job
from worker.trainers.protocol import Data, Evaluated, Metric


@dataclass(frozen=True)
class HeldOut:
    """The result of a configuration on the test split.

    Attributes:
        sweep: The sweep's name.
        metric: What was measured.
        reading: The record.
        draws_split: Whether each seed was validated on other samples.
        repeated: Whether the split had been read before: this is the earlier record, and nothing was evaluated.
    """

    sweep: str
    metric: Metric
    reading: Reading
    draws_split: bool
    repeated: bool

    def __str__(self) -> str:
        """The result in words."""
        record, metric = self.reading, self.metric
        who = record.name or "The only configuration"
        chosen = ", the leader," if record.chosen == "leader" and record.name else ""
        diverged = f" {counted(record.diverged, 'job')} of it diverged and had no part." if record.diverged else ""
        return (
            f"{who}{chosen} has a {metric.name.replace('validation', 'test')} of {metric.shown(record.test.mean)} on "
            f"{counted(record.test_size, 'sample')} that no job had seen, over {counted(len(record.jobs), 'seed')}; "
            f"on the validation samples, by which it was chosen, {metric.shown(record.validation.mean)}.{diverged}"
        )


def read_test_split(folder: SweepFolder, words: Sequence[str] = (), *, cache_dir: Path, tell: Tell = ignore) -> HeldOut:
    """Evaluate a configuration on the test split of its sweep, and record it in the folder; or return the record.

    Args:
        folder: The sweep's folder. Its jobs hold samples out of training (`Trainer.held_out`).
        words: Name the configuration (`orchestrator.analysis.selection`); none for the leader.
        cache_dir: Where prepared data sets are kept.
        tell: Receives a sentence before a job is trained again whose weights were not kept.

    Raises:
        HeldOutError: the sweep has no test split, has jobs without a row, or its record is damaged or another sweep's.
        InvalidInputError: the words fit no configuration or several; or the split was read for another one.
        SweepNotFoundError: the folder contains no sweep, or the sweep has no leader.
        SweepBusyError: another process works on the sweep.
        OutputError: the folder cannot be written; nothing was read.
        SeedsweepError: the data set or weights cannot be used; nothing was read.
    """
    manifest = folder.manifest()
    job = next(iter(manifest.specification.jobs(manifest.dataset)))
    if not job.trained_by.held_out(job.options):
        raise HeldOutError(f"The sweep {folder.name} has no test split: begin one with --test-size to hold samples out")
    record = folder.reading(len(manifest.known_jobs))
    if record is None:
        chosen = _chosen(folder, words)
        for key in chosen.scored.keys:
            if chosen.sweep.rows[key].status == "succeeded":
                restore(chosen.sweep, chosen.sweep.jobs[key], cache_dir, tell)
        # Locked before the samples are read: they must not be seen if the record cannot be written.
        with folder.exclusive():
            record = folder.reading(len(manifest.known_jobs))
            if record is None:
                chosen = _chosen(folder, words)
                record = _evaluate(chosen, cache_dir)
                folder.keep(FILE, record.model_dump_json(indent=2) + "\n")
                return HeldOut(folder.name, job.metric, record, job.trained_by.draws_split(job.options), repeated=False)
    record = _checked(folder, record)
    if words:
        chosen = choose(Sweep.read(folder), words)
        options = chosen.configuration.options.model_dump(mode="json")
        # A record from before an option existed lacks it.
        if options != options | record.options:
            when = f"the test split of {folder.name} was read on {record.read[:10]}: it is read once"
            raise InvalidInputError(FIELD, chosen.words, f"{record.name or 'no word'}, for which {when}")
    return HeldOut(folder.name, job.metric, record, job.trained_by.draws_split(job.options), repeated=True)


def _checked(folder: SweepFolder, record: Reading) -> Reading:
    """Return a record with its configuration as it is named now; raise `HeldOutError` if it is not of this sweep."""
    manifest = folder.manifest()
    jobs = manifest.jobs_by_key()
    # Those that were withdrawn are not known any more.
    tested = [(each, jobs[each.job]) for each in record.jobs if each.job in jobs]
    rows, why = {key: row for key, row in folder.rows_of(jobs).items() if row.accepted}, ""
    if not manifest.known_jobs.issuperset(each.job for each in record.jobs):
        why = "it has jobs that the sweep lacks"
    for each, job in tested:
        split = (job.dataset, job.trained_by.held_out(job.options), job.metric.name, job.seed)
        # A record from before an option existed lacks it.
        options = job.options.model_dump(mode="json")
        if split != (record.dataset, record.test_size, record.metric, each.seed) or options != options | record.options:
            why = "it has another test split or configuration"
        # One that is not exact may have been trained again.
        row, told = rows.get(job.key), (each.weights_sha256, [each.validation_score])
        if row is not None and job.is_exact and told != (row.weights_sha256, row.validation_score[-1:]):
            why = f"the job {job.key[:12]} has another result in it"
    if any(job.configuration != tested[0][1].configuration for _, job in tested):
        why = "it has jobs of several configurations"
    if why:
        raise HeldOutError(f"{folder.path / FILE} is not of this sweep: {why}")
    if not tested:
        return record
    own = tested[0][1].options
    name = JobNames(jobs.values(), manifest.axes).words(own)
    return record.model_copy(update={"name": name, "options": own.model_dump(mode="json")})


def _chosen(folder: SweepFolder, words: Sequence[str]) -> Chosen:
    sweep = Sweep.read(folder)
    chosen = choose(sweep, words)
    # Further results may still replace the configuration, and the split is read once.
    if missing := len(sweep.jobs) - len(sweep.rows):
        raise HeldOutError(
            f"{have(missing, 'job')} no row yet in the sweep {sweep.name}, and its test split is read once: "
            f"first finish it by orchestrator sweep --resume --name {sweep.name}"
        )
    if not chosen.scored.trained:
        raise HeldOutError(f"No job of {chosen.name} trained to its end: there is nothing to test")
    # The trainer evaluates its own metric, whichever one has chosen the leader.
    own = sweep.select(metric="last")
    scored = next(each for each in own.scored if each.keys == chosen.scored.keys)
    return replace(chosen, sweep=own, scored=scored)


# The evaluation


def _evaluate(chosen: Chosen, cache_dir: Path) -> Reading:
    """Return the record of a configuration's trained jobs on the test split; diverged jobs are left out."""
    sweep = chosen.sweep
    rows = {key: sweep.rows[key] for key in chosen.scored.keys if key in sweep.rows}
    jobs = [(sweep.jobs[key], row) for key, row in rows.items() if row.status == "succeeded"]
    data = load_data(chosen.sweep.manifest, chosen.configuration, cache_dir)
    # One after another: each may have gigabytes.
    found = [_evaluated(job, data, artifact(sweep, job.key)) for job, _ in jobs]
    values = [float(each.value) for each in found]
    answers = [np.asarray(each.correct, bool) for each in found if each.correct is not None]
    known = len(answers) == len(found) and len({each.shape for each in answers}) == 1
    on_new = new_images_interval(answers) if known else None
    is_share = sweep.names.metric.is_share
    ends = (each and each.possible(is_share=is_share) for each in (t_interval(values), on_new))
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
            list(chosen.scored.trained.values()), chosen.interval, sweep.judgement.on_new_samples(chosen.scored)
        ),
        test=_estimate(values, *ends),
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
    result: object = job.trained_by.test(job.options, data, blob)
    if not isinstance(result, Evaluated):
        raise HeldOutError(f"The trainer {job.trainer} returns no seedsweep.Evaluated of the test split")
    if refusal := job.metric.refusal(result.value):
        raise HeldOutError(f"The trainer {job.trainer} reports {refusal}")
    return result


def _estimate(values: Sequence[float], interval: Interval | None, new: Interval | None) -> Estimate:
    return Estimate(
        mean=statistics.mean(values),
        method=None if interval is None else interval.method,
        **ends_by_name(interval),
        **ends_by_name(new, "_new"),
    )
