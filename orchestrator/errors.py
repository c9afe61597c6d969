"""The errors of the `orchestrator` layer."""

from nn.errors import SeedsweepError


class SweepExistsError(SeedsweepError):
    """The name belongs to another sweep, or to one that the command was not told to go on with."""


class SweepBusyError(SweepExistsError):
    """Another process holds the lock of the sweep's folder."""


class SweepNotFoundError(SeedsweepError):
    """There is no sweep of this name, or the folder is not a sweep's."""


class OutputError(SeedsweepError):
    """The output folder cannot be written."""


class BrokerUnreachableError(SeedsweepError):
    """No Redis server answers at the broker's address, or it refuses the connection."""


class ClusterError(SeedsweepError):
    """The embedded cluster did not start, or one of its processes ended."""


class ClusterFullError(SeedsweepError):
    """The cluster's Redis has reached its `maxmemory` and accepts no writes."""


class PictureError(SeedsweepError):
    """The file is not a picture of a digit."""
