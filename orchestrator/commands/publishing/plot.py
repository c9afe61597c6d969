"""`plot`: a chart of a sweep for the terminal, from its folder alone."""

from __future__ import annotations

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report import plots
from orchestrator.report.plots import Plot


def plot(folder: SweepFolder, name: str | None = None) -> Plot:
    """Return a chart of a sweep as numbers. Takes no lock and writes nothing; the sweep may run meanwhile.

    Args:
        folder: The sweep's folder.
        name: The chart's name; None for the intervals of the configurations.

    Raises:
        InvalidInputError: the sweep has no such chart, or text cannot show it.
        SweepNotFoundError: the folder contains no sweep.
        SweepUnreadableError: the folder cannot be read.
    """
    return plots.plot(Sweep.read(folder), plots.DEFAULT if name is None else name, "CHART")
