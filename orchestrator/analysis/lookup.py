"""Finds a configuration of a sweep, or a job with its row, its data set, what its trainer draws, and its weights.

Weights that the folder lacks are trained again (`restore`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import cast

from nn.datasets import MNIST_DIGEST
from nn.errors import DatasetError, Described, InvalidInputError, WeightsError
from nn.options.network import NetworkOptions
from nn.weights import Weights
from orchestrator.analysis.leaderboard.scores import Scored
from orchestrator.analysis.selection import Picker, pick, pick_one
from orchestrator.analysis.statistics.intervals import Interval
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.rows import Row, check_weights
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import counted, listed
from worker.errors import TrainerUnusableError
from worker.job import Configuration, Job
from worker.trainers.network import NetworkTrainer, read_weights
from worker.trainers.protocol import Data, Drawing, Trainer
from worker.trainers.registry import load

FIELD = "the configuration"


@dataclass(frozen=True)
class Chosen:
    """One configuration of a sweep, with its results.

    Attributes:
        sweep: The whole sweep.
        scored: Its scores.
        is_leader: Whether it was chosen by its results instead of by words.
        alias: Its name beside another one; None for its own.
    """

    sweep: Sweep
    scored: Scored
    is_leader: bool
    alias: str | None = None

    @property
    def configuration(self) -> Configuration:
        """The configuration."""
        return self.sweep.jobs[self.scored.keys[0]].configuration

    @property
    def honest_mean(self) -> float | None:
        """For the leader only: its mean, corrected for selection; None without a choice, or without an estimate."""
        judgement = self.sweep.judgement
        return judgement.honest_mean if self.is_leader and len(judgement.candidates) > 1 else None

    @property
    def words(self) -> str:
        """The options that vary in the sweep, as words that pick the configuration; empty if none varies."""
        return self.sweep.names.words(self.configuration.options)

    @property
    def name(self) -> str:
        """The varying option with its value; words if several options vary, the sweep's name if none does."""
        names = self.sweep.names
        own = names.configuration(self.configuration.options) if len(names.varying) == 1 else self.words
        return self.alias or own or self.sweep.name

    @cached_property
    def interval(self) -> Interval | None:
        """The interval for its mean at 95 %; None for fewer than two seeds."""
        return self.sweep.judgement.interval(self.scored)


def choose(sweep: Sweep, words: Sequence[str] = ()) -> Chosen:
    """Return the configuration that words name; without words, the leader.

    Args:
        sweep: The sweep.
        words: Options with their values (`orchestrator.analysis.selection`).

    Raises:
        SweepNotFoundError: the leader is wanted and there is none.
        InvalidInputError: the words fit no configuration, several, or only some seeds of one.
    """
    scored = _named(sweep, words) if words else sweep.scored[0]
    if not words and not scored.is_candidate:
        why = "more of its jobs diverged than trained" if scored.diverged else "it has no result yet"
        raise SweepNotFoundError(f"The sweep {sweep.name} has no leader: {why}")
    return Chosen(sweep, scored, is_leader=not words)


def _named(sweep: Sweep, words: Sequence[str]) -> Scored:
    typed = " ".join(words)
    picked = set(pick(sweep.name, sweep.jobs, words, FIELD))
    found = [each for each in sweep.scored if not picked.isdisjoint(each.keys)]
    if any(not picked.issuperset(each.keys) for each in found):
        raise InvalidInputError(FIELD, typed, "words about its options only, because all its seeds count")
    if len(found) > 1:
        first = {each.keys[0] for each in found}
        jobs = {key: job for key, job in sweep.jobs.items() if key in first}
        missing = listed(Picker(sweep.name, jobs).varying(), "and")
        allowed = f"words that fit one configuration of the sweep {sweep.name}; {len(found)} fit, so add {missing}"
        raise InvalidInputError(FIELD, typed, allowed)
    return found[0]


@dataclass(frozen=True)
class TrainedJob:
    """A job of a sweep with its result.

    Attributes:
        sweep: The sweep.
        job: The job.
        row: The job's row in `results.jsonl`; it has a result.
        weights: The trained network; its layers have the sizes that the job asks for, and biases if it asks for them.
    """

    sweep: Sweep
    job: Job
    row: Row
    weights: Weights


def trained_job(sweep: Sweep, words: Sequence[str] = ()) -> TrainedJob:
    """Return a job of a sweep with its row and its weights.

    Args:
        sweep: The sweep.
        words: Name the job (`orchestrator.analysis.selection`); none for the best seed of the leaderboard's first
            configuration.

    Raises:
        SweepNotFoundError: it has no result yet.
        InvalidInputError: the words name no job of the sweep, or more than one.
        WeightsError: the job has no weights, or they are missing, damaged, or of another network.
    """
    trainer = sweep.manifest.specification.trainer
    if trainer != NetworkTrainer.name:
        allowed = f"a sweep of the trainer {NetworkTrainer.name}, whose models this command knows"
        raise InvalidInputError("SWEEP", Described(f"a sweep of the trainer {trainer}"), allowed)
    key = pick_one(sweep.name, sweep.jobs, words) if words else best_job(sweep)
    job, blob = sweep.jobs[key], artifact(sweep, key)
    return TrainedJob(sweep, job, sweep.rows[key], read_weights(cast("NetworkOptions", job.options), blob))


def weights_of(sweep: Sweep, key: str) -> str:
    """Return the hash of a job's weights.

    Raises:
        WeightsError: the job has no result.
    """
    row = sweep.rows.get(key)
    if row is None or row.weights_sha256 is None:
        why = "it has no result yet" if row is None else f"it is {row.status} ({row.error})"
        raise WeightsError(f"Job {key[:12]} ({sweep.jobs[key].words(sweep.manifest.axes)}) has no weights: {why}")
    return row.weights_sha256


def artifact(sweep: Sweep, key: str) -> bytes:
    """Return a job's artifact.

    Raises:
        WeightsError: the job has no result, or its weights are missing, damaged, or not such as it can have.
    """
    folder, job, sha256 = sweep.folder, sweep.jobs[key], weights_of(sweep, key)
    fault = folder.weights_fault(job, sha256)
    if fault is not None:
        remedy = f"{shlex.join(['orchestrator', 'weights', str(folder.path), job.key[:12]])} trains the job again"
        if not job.is_current:
            trained = f"version {job.version} of the trainer {job.trainer} trained them"
            remedy = f"{trained}; to have others, start the sweep again under another --name"
        raise WeightsError(f"{folder.weights_path(sha256)} is {fault}: {remedy}")
    blob = folder.weights(job, sha256)
    if job.trainer != NetworkTrainer.name and not job.is_current:
        # An earlier version of the trainer may have made what this one would not.
        return blob
    try:
        check_weights(job, sweep.rows[key].status, blob)
    except WeightsError as error:
        raise WeightsError(f"{folder.weights_path(sha256)}: {error}") from None
    return blob


def restore(sweep: Sweep, job: Job, cache_dir: Path, tell: Callable[[str], None] = lambda _text: None) -> bytes:
    """Return the weights of a job; if the folder lacks them, train it in this process, and write them there.

    Args:
        sweep: The sweep.
        job: One of its jobs.
        cache_dir: Where prepared data sets are kept.
        tell: Receives a sentence before the job is trained.

    Raises:
        WeightsError: the job has no result, or trains to other weights here.
        DatasetError: the data set is missing, or is not the one that the sweep was trained on.
        SweepBusyError: another process works on the sweep.
        OutputError: the folder cannot be written.
        TrainingFailedError: the trainer fails.
    """
    folder, sha256 = sweep.folder, weights_of(sweep, job.key)
    fault = folder.weights_fault(job, sha256)
    if fault is not None and job.is_current:
        # Imported here because it takes a while.
        from worker.training.trainer import train

        # Locked before the job is trained: its weights would be lost if the folder cannot be written.
        with folder.exclusive():
            data = load_data(sweep.manifest, job, cache_dir)
            job.trained_by.prepare(data)
            tell(f"{folder.weights_path(sha256)} is {fault}: training the job again, {counted(job.epochs, 'epoch')}")
            folder.keep_weights(sha256, train(job, data).weights)
    return artifact(sweep, job.key)


def load_data(manifest: Manifest, job: Configuration, cache_dir: Path) -> Data:
    """Return the data set that a sweep's job was trained on; of MNIST, the bundled copy.

    Raises:
        DatasetError: the data set cannot be read, or is not the one that the sweep was trained on.
    """
    digest = job.dataset
    # A folder of MNIST may have moved.
    is_mnist = digest == MNIST_DIGEST and "bundled" in job.trained_by.datasets
    source = "bundled" if is_mnist else manifest.specification.source
    data = load(job.trained_by, source, cache_dir)
    if data.digest != digest:
        raise DatasetError(f"The data set {source} is now {data.digest[:12]}; the sweep was trained on {digest[:12]}")
    return data


def draws(job: Job) -> bool:
    """Return whether the trainer of a job draws its models."""
    return type(job.trained_by).drawings is not Trainer.drawings


def drawings(sweep: Sweep, job: Job, cache_dir: Path) -> Sequence[Drawing]:
    """Return what its trainer draws of the model of a sweep's job.

    Raises:
        WeightsError: the job has no weights, or they are missing, damaged, or not a model of this trainer.
        DatasetError: the data set is needed, and missing or another one.
        TrainerUnusableError: the trainer raises an exception, or returns something else.
    """
    blob = artifact(sweep, job.key)
    if not job.is_current:
        job.trained_by.check_artifact(job.options, job.dataset, blob)
    found = job.trained_by.drawings(job.options, blob, partial(load_data, sweep.manifest, job, cache_dir))
    if not isinstance(found, Sequence) or not all(isinstance(each, Drawing) for each in found):
        raise TrainerUnusableError(f"The trainer {job.trainer} is broken: its drawings are not all of type Drawing")
    return found


def best_job(sweep: Sweep) -> str:
    """Return the key of the best job of the first configuration; if all diverged, of its first.

    Raises:
        SweepNotFoundError: the sweep has no result yet.
    """
    first = sweep.scored[0]
    best = first.best or next((each for each in first.entries if each.score is not None), None)
    if best is None:
        raise SweepNotFoundError(f"The sweep {sweep.name} has no result yet")
    return best.key
