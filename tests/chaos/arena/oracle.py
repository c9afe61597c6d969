"""The clean run: every job trained once, in one process, by the network itself. No queue, no worker, no store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from nn.datasets.mnist import MNIST_DIGEST, load_mnist
from nn.network import DeepNeuralNetwork
from nn.weights import digest, to_safetensors
from orchestrator.analysis.leaderboard import leaderboard
from orchestrator.folder.rows import Row, identity
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweeps import sweep_of
from worker.job import Job

_SEEDS, _LEARNING_RATES = tuple(range(9)), (0.01, 0.03, 0.1)
#: 27 jobs of 0.3 s each, if nothing else runs, in small epochs (checkpoints, cancelling) and in large ones.
SWEEPS = {
    False: sweep_of(seeds=_SEEDS, learning_rates=_LEARNING_RATES, epochs=60, limit=500, hidden=(32, 16)),
    True: sweep_of(seeds=_SEEDS, learning_rates=_LEARNING_RATES, epochs=5, limit=40_000, hidden=(32, 16), shuffle=True),
}


@dataclass(frozen=True)
class CleanRun:
    """What a sweep must end as.

    Attributes:
        jobs: The sweep's jobs by key, in its order.
        hashes: The SHA-256 of each job's weights.
        accuracies: Each job's validation accuracy after every epoch.
    """

    jobs: dict[str, Job]
    hashes: dict[str, str]
    accuracies: dict[str, list[float]]

    def leaderboard(self, cancelled: frozenset[str] = frozenset()) -> tuple[bytes, bytes]:
        """Return the leaderboard as CSV and as JSON, with these jobs cancelled."""
        rows = {key: self._row(key, key in cancelled) for key in self.jobs}
        board = leaderboard(self.jobs.values(), rows, "bundled")
        return board.to_csv().encode(), board.to_json().encode()

    def _row(self, key: str, cancelled: bool) -> Row:
        job = self.jobs[key]
        return Row(
            **identity(job),
            status="cancelled" if cancelled else "succeeded",
            validation_score=[] if cancelled else self.accuracies[key],
            epoch_seconds=[] if cancelled else [0.0] * len(self.accuracies[key]),
            weights_sha256=None if cancelled else self.hashes[key],
            attempts=1,
            worker=None,
            error="cancelled" if cancelled else None,
        )


def clean_run(specification: SweepSpecification, cache_dir: Path) -> CleanRun:
    """Train every job of a sweep, or read what was trained before from the cache of this session."""
    jobs = specification.jobs_by_key(MNIST_DIGEST)
    kept = cache_dir / f"clean-{hashlib.sha256(''.join(jobs).encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        kept.write_text(json.dumps(_train(jobs, cache_dir)))
    hashes, accuracies = json.loads(kept.read_text())
    return CleanRun(jobs, hashes, accuracies)


def _train(jobs: dict[str, Job], cache_dir: Path) -> tuple[dict[str, str], dict[str, list[float]]]:
    dataset = load_mnist(cache_dir=cache_dir)
    hashes, accuracies = {}, {}
    for key, job in jobs.items():
        network = DeepNeuralNetwork(
            job.options.hidden_layer_sizes,
            learning_rate=job.options.learning_rate,
            epochs=job.epochs,
            shuffle=job.options.shuffle,
            random_state=job.seed,
        )
        network.fit(dataset.train.first(job.options.limit), validation_set=dataset.validation)
        hashes[key] = digest(to_safetensors(network.weights_))
        accuracies[key] = [float(record.validation_score or 0.0) for record in network.history_]
    return hashes, accuracies
