"""One attempt at a job, from its start to its result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery.utils.log import get_task_logger

from worker.job import Job, Result
from worker.trainer import Trained, train

if TYPE_CHECKING:
    from nn.network import DeepNeuralNetwork
    from worker.tasks import TrainingTask

logger = get_task_logger(__name__)

#: The least time between two reports of progress, in seconds: tiny jobs have hundreds of epochs a second.
REPORT_SECONDS = 0.25


class Execution:
    """Trains a job for a task: reports progress and stores what comes out."""

    def __init__(self, task: TrainingTask, job: Job) -> None:
        self.task = task
        self.job = job
        self.run_id: str = task.request.id
        self.worker: str = task.request.hostname
        self.store = task.store()
        self.attempt = 1 + task.request.retries
        self._reported = float("-inf")

    def run(self) -> Result:
        """Train the job and return its result. The weights are in the store before the result is."""
        trained = train(self.job, self.task.dataset, on_epoch=self._after_epoch)
        result = self._result(trained)
        self.store.settle(self.job.key, result.weights_sha256, self.run_id, self.worker)
        return result

    def _after_epoch(self, network: DeepNeuralNetwork) -> None:
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._report(network)

    def _report(self, network: DeepNeuralNetwork) -> None:
        self.task.update_state(state="PROGRESS", meta=self._progress(network))

    def _progress(self, network: DeepNeuralNetwork) -> dict[str, Any]:
        return {
            "epoch": len(network.history_),
            "epochs": self.job.epochs,
            "validation_accuracy": [record.validation_accuracy for record in network.history_],
            "epoch_seconds": [record.seconds for record in network.history_],
            "worker": self.worker,
            "attempt": self.attempt,
        }

    def _result(self, trained: Trained) -> Result:
        notebook = [record.notebook_accuracy for record in trained.history]
        return Result(
            job=self.job.key,
            status="diverged" if trained.problem else "succeeded",
            validation_accuracy=[record.validation_accuracy for record in trained.history],
            notebook_accuracy=notebook if self.job.rule == "notebook" else None,
            epoch_seconds=[record.seconds for record in trained.history],
            weights_sha256=self.store.put_weights(trained.weights),
            weights_bytes=len(trained.weights),
            worker=self.worker,
            attempts=self.attempt,
            error=trained.problem,
        )
