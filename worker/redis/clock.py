"""Redis's clock, which all processes of a cluster share, and how much this host's clock differs from it.

Leases, heartbeats and attempts are timed by Redis's clock, so hosts agree on them even if their own clocks differ.
"""

import time
from collections.abc import Mapping

from redis import Redis

#: The fraction of a lease by which two clocks may differ before it is reported.
TOLERANCE = 1 / 3
#: Seconds for which a measurement counts as recent: jobs that take less need not ask for each of their times.
RECENT = 1.0
#: How many hosts a message names.
SHOWN = 5


class ServerClock:
    """Redis's clock, as last measured; `time.monotonic` counts from there.

    Setting this host's clock therefore does not change it. It is late by at most the round trip of the measurement.

    Attributes:
        ahead: Least seconds by which this host's clock was ahead of Redis's at the last measurement; negative if it
            was behind. A difference that the round trip may explain counts as 0.
    """

    def __init__(self) -> None:
        self._zero: float | None = None
        self._at = 0.0
        self.ahead = 0.0

    def measure(self, client: Redis) -> float:
        """Ask Redis for its time, and return it in seconds since the epoch."""
        before = time.monotonic()
        seconds, microseconds = client.time()
        after, local = time.monotonic(), time.time()
        server = seconds + microseconds / 1e6
        self._zero, self._at = server - after, after
        # Redis read its clock at some moment between `before` and `after`.
        most = local - server
        least = most - (after - before)
        self.ahead = max(least, 0.0) + min(most, 0.0)
        return server

    def recent(self, client: Redis, within: float = RECENT) -> float:
        """Return Redis's time in seconds since the epoch, measured at most `within` seconds ago."""
        fresh = self._zero is not None and time.monotonic() - self._at < within
        return self.now() if fresh else self.measure(client)

    def now(self) -> float:
        """Return Redis's time in seconds since the epoch."""
        if self._zero is None:
            raise RuntimeError("Redis's clock has not been measured")
        return self._zero + time.monotonic()


def disagreeing(ahead: Mapping[str, float], lease: float) -> set[str]:
    """Return the hosts whose clocks differ too much from Redis's; arguments as for `disagreement`."""
    return {host for host, seconds in ahead.items() if abs(seconds) > TOLERANCE * lease}


def disagreement(ahead: Mapping[str, float], lease: float) -> str | None:
    """Return a sentence about the hosts whose clocks differ from Redis's too much, or None if there are none.

    Args:
        ahead: Seconds by which the clock of each host is ahead of Redis's (`ServerClock.ahead`), by the host's name.
        lease: The lease, in seconds. More than `TOLERANCE` of it is too much.
    """
    far = sorted(disagreeing(ahead, lease))
    if not far:
        return None
    named = [f"{host} is {abs(ahead[host]):.1f} s {'ahead' if ahead[host] > 0 else 'behind'}" for host in far]
    more = f", and {len(far) - SHOWN} more" if len(far) > SHOWN else ""
    return (
        f"Clocks disagree with that of Redis's host: {', '.join(named[:SHOWN])}{more}; synchronize the clocks of all "
        "hosts (NTP)"
    )
