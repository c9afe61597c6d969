"""The errors of the `worker` layer."""

from nn.errors import SeedsweepError


class JobRefusedError(SeedsweepError):
    """A message that no attempt can turn into a result: it is malformed, forged, or of another version."""


class WrongDatasetError(SeedsweepError):
    """No worker has had the data set that the job names, for as long as a job waits for one."""


class OutOfMemoryError(SeedsweepError):
    """A job that needs more memory than its worker can get."""


class TooManyAttemptsError(SeedsweepError):
    """A job that took its worker down as often as is allowed."""
