"""The sweeps on record in Redis."""

from __future__ import annotations

from orchestrator.cluster.registry import Registry
from tests.support.cluster import Cluster


def test_a_sweep_that_ends_after_redis_lost_it_is_not_kept_for_ever(cluster: Cluster) -> None:
    # Given a Redis that has lost its data since the sweep was last seen
    registry = Registry(cluster.store())
    # When the sweep ends
    registry.finish("lost")
    # Then what it left goes away like everything else
    assert 0 < cluster.server.client().ttl("seedsweep:sweep:lost") <= cluster.settings.result_expires
