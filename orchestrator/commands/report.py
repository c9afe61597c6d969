"""`report`: writes the page of a sweep from its folder alone, whether it has ended or runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report import packages
from orchestrator.report.contents import network
from orchestrator.report.page.render import BEGINNING, render
from orchestrator.report.target import Target

#: The name of the page in a sweep's folder.
FILE = "report.html"
#: A page overwrites only pages.
_TARGET = Target("The report", "a report", BEGINNING.encode())


@dataclass(frozen=True)
class ReportResult:
    """A page that was written.

    Attributes:
        path: The file.
        bytes: Its size.
        jobs: Number of jobs of the sweep.
        ended: Number of those that have ended.
    """

    path: Path
    bytes: int
    jobs: int
    ended: int


def report(
    folder: SweepFolder, to: Path | None = None, *, metric: str = "last", cache_dir: Path | None = None
) -> ReportResult:
    """Write the page of a sweep. Takes no lock; the sweep may run meanwhile.

    Args:
        folder: The sweep's folder.
        to: The file; None for `report.html` in the sweep's folder.
        metric: How a job is scored, and by which metric (`Scoring.parse`).
        cache_dir: Where prepared data sets are kept, for the portrait of the best network; None to prepare one.

    Raises:
        MissingPackageError: the packages that it needs are not installed.
        SweepNotFoundError: the folder contains no sweep.
        SweepUnreadableError: the folder cannot be read.
        InvalidInputError: the sweep has no such metric.
        OutputError: the file cannot be written, or an existing file there is not a report.
    """
    packages.require("The report")
    path = folder.path / FILE if to is None else to
    _TARGET.check(path)
    sweep = Sweep.read(folder, metric)
    size = _TARGET.write(path, render(sweep, network.content(sweep, cache_dir)).encode())
    return ReportResult(path, size, len(sweep.jobs), len(sweep.rows))
