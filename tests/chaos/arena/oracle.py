"""The clean run: every job trained once, in one process, by the network itself. No queue, no worker, no store."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nn.datasets.mnist import load_mnist
from nn.files import digest
from nn.network import DeepNeuralNetwork
from nn.weights import to_safetensors
from orchestrator.analysis.leaderboard.table import to_csv, to_json
from orchestrator.folder.rows import Row, identity
from tests.chaos.arena.workload import Kind, Workload, workload
from tests.support.boards import leaderboard
from worker.job import Job
from worker.records.answers import pack

#: Hashes, accuracies and answers, by job key.
Trained = tuple[dict[str, str], dict[str, list[float]], dict[str, str | None]]


@dataclass(frozen=True)
class CleanRun:
    """What a sweep must end as.

    Attributes:
        jobs: The sweep's jobs by key, in its order.
        hashes: The SHA-256 of each job's weights.
        accuracies: Each job's validation accuracy after every epoch.
        workload: What the sweep is part of.
        answers: Which validation samples each job answered correctly, packed.
    """

    jobs: dict[str, Job]
    hashes: dict[str, str]
    accuracies: dict[str, list[float]]
    workload: Workload
    answers: dict[str, str | None] = field(default_factory=dict)

    def leaderboard(self, cancelled: frozenset[str] = frozenset()) -> tuple[bytes, bytes]:
        """Return the leaderboard as CSV and as JSON, with these jobs cancelled."""
        rows = {key: self._row(key, key in cancelled) for key in self.jobs}
        board = leaderboard(self.jobs, rows, self.workload.sweep.data)
        return to_csv(board).encode(), to_json(board).encode()

    def _row(self, key: str, cancelled: bool) -> Row:
        job = self.jobs[key]
        return Row(
            **identity(job),
            status="cancelled" if cancelled else "succeeded",
            validation_score=[] if cancelled else self.accuracies[key],
            epoch_seconds=[] if cancelled else [0.0] * len(self.accuracies[key]),
            weights_sha256=None if cancelled else self.hashes[key],
            correct=None if cancelled else self.answers.get(key),
            attempts=1,
            worker=None,
            error="cancelled" if cancelled else None,
        )


def clean_run(kind: Kind, cache_dir: Path) -> CleanRun:
    """Train every job of a sweep, or read what was trained before from the cache of this session."""
    found = workload(kind)
    jobs = found.sweep.jobs_by_key(found.dataset)
    kept = cache_dir / f"clean-{hashlib.sha256(''.join(jobs).encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        kept.write_text(json.dumps(_train_softmax(jobs) if kind == "softmax" else _train(jobs, cache_dir)))
    hashes, accuracies, correct = json.loads(kept.read_text())
    return CleanRun(jobs, hashes, accuracies, found, correct)


def _train(jobs: dict[str, Job], cache_dir: Path) -> Trained:
    dataset = load_mnist(cache_dir=cache_dir)
    hashes, accuracies, correct = {}, {}, {}
    for key, job in jobs.items():
        options: Any = job.options
        network = DeepNeuralNetwork(
            options.hidden_layer_sizes,
            learning_rate=options.learning_rate,
            epochs=options.epochs,
            shuffle=options.shuffle,
            random_state=job.seed,
        )
        network.fit(dataset.train.first(options.limit), validation_set=dataset.validation)
        hashes[key] = digest(to_safetensors(network.weights_))
        accuracies[key] = [float(record.validation_accuracy or 0.0) for record in network.history_]
        correct[key] = pack((network.predict(dataset.validation) == dataset.validation.labels).tolist())
    return hashes, accuracies, correct


def _train_softmax(jobs: dict[str, Job]) -> Trained:
    """Train by the trainer's own method, in one thread, as workers do."""
    from seedsweep_softmax import SoftmaxTrainer
    from threadpoolctl import threadpool_limits

    trainer = SoftmaxTrainer()
    data = trainer.load("digits", cache_dir=None)
    hashes: dict[str, str] = {}
    correct: dict[str, str | None] = {}
    accuracies: dict[str, list[float]] = {key: [] for key in jobs}
    with threadpool_limits(1):
        for key, job in jobs.items():
            record = accuracies[key].append
            trained = trainer.train(job.options, job.seed, data, on_epoch=lambda value, _, record=record: record(value))
            hashes[key] = digest(trained.artifact)
            correct[key] = pack(trained.correct)
    return hashes, accuracies, correct
