"""The errors of the `worker` layer."""

from nn.errors import SeedsweepError, WeightsError, printable


class JobRefusedError(SeedsweepError):
    """A message is malformed, forged, or of another version: no attempt can succeed."""


class NoSuchWorkerError(SeedsweepError):
    """No worker had the job's trainer, in its version, and its data set within `dataset_seconds`."""


class OutOfMemoryError(SeedsweepError):
    """A job needs more memory than its worker can allocate."""


class TooManyAttemptsError(SeedsweepError):
    """A job hung or took its worker down, `max_attempts` times in all."""


class WeightsMissingError(WeightsError):
    """The store no longer has a job's weights."""


class TrainerUnusableError(SeedsweepError):
    """An installed trainer cannot be imported, or breaks the protocol."""


class TrainingFailedError(SeedsweepError):
    """A trainer raised an exception, or returned something that the protocol does not allow."""


class TrainerCheckError(SeedsweepError):
    """A trainer breaks a promise. `check` is the name of the check that failed (`worker.trainers.checks`)."""

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(check, problem)
        self.check = check
        self.problem = problem

    def __str__(self) -> str:
        return printable(f"{self.check}: {self.problem}")
