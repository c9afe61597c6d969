"""Finds a sweep by its name: on the cluster, or in its folder on this machine."""

from __future__ import annotations

from orchestrator.cluster.cluster import Cluster
from orchestrator.errors import SweepExistsError, SweepNotFoundError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest


def find_sweep(cluster: Cluster, folder: SweepFolder) -> Manifest:
    """Return a sweep's manifest: the folder's, or the cluster's if there is no folder; with the jobs of the longer one.

    Raises:
        SweepExistsError: the folder and the cluster hold two sweeps of the same name.
        SweepNotFoundError: neither has the sweep.
    """
    here = folder.manifest() if folder.exists() else None
    # The folder may have been renamed: the cluster knows the name with which the sweep began.
    name = folder.name if here is None else here.name
    registered = cluster.registry.manifest(name)
    if here is None:
        if registered is None:
            raise SweepNotFoundError(
                f"There is no sweep named {folder.name} at {cluster.address}, nor in {folder.path.parent}"
            )
        return registered
    if registered is None or registered.jobs == here.jobs or here.goes_on(registered):
        return here
    if registered.goes_on(here):
        # Another session has added jobs, which are to be followed or cancelled, too.
        return here.grown_as(registered)
    raise SweepExistsError(
        f"The sweep {folder.name} in {folder.path.parent} is not the one that the cluster knows under this name: "
        "choose another --output"
    )
