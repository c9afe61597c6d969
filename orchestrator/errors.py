"""The errors of the `orchestrator` layer."""

from nn.errors import SeedsweepError


class SweepExistsError(SeedsweepError):
    """The name is that of a sweep which this command must not go on with: unasked, or because it has other jobs."""


class SweepBusyError(SweepExistsError):
    """Another process writes to the sweep's folder."""


class SweepNotFoundError(SeedsweepError):
    """No sweep of this name, or a folder that is not a sweep's."""


class OutputError(SeedsweepError):
    """The output folder cannot be written."""


class BrokerUnreachableError(SeedsweepError):
    """Nothing answers at the broker's address, or it does not let us in."""


class ClusterError(SeedsweepError):
    """The embedded cluster did not start, or one of its parts ended."""


class PictureError(SeedsweepError):
    """A file that is not a picture of a digit."""


class ClusterFullError(SeedsweepError):
    """The cluster's Redis has reached its `maxmemory`, and takes nothing more."""
