"""The errors of the `worker` layer."""

from nn.errors import SeedsweepError


class JobRefusedError(SeedsweepError):
    """A message that no attempt can turn into a result: it is malformed, forged, or of another version."""


class WrongDatasetError(SeedsweepError):
    """This worker holds another data set than the job names; another worker may hold the right one."""


class OutOfMemoryError(SeedsweepError):
    """A job that needs more memory than its worker can get."""


class TooManyAttemptsError(SeedsweepError):
    """A job that took its worker down as often as is allowed."""
