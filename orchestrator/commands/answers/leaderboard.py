"""`leaderboard`: ranks the configurations of a sweep from its folder alone, whether it has ended or runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard import board
from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.leaderboard.scoring import LAST, Scoring
from orchestrator.analysis.selection import pick
from orchestrator.folder.rows import Accounting
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from worker.job import Job


@dataclass(frozen=True)
class LeaderboardResult:
    """A sweep's leaderboard at this moment.

    Attributes:
        name: The sweep's name.
        manifest: The sweep.
        leaderboard: The configurations by rank, and the verdict.
        accounting: How many jobs ended in which way, of those that the leaderboard is about.
    """

    name: str
    manifest: Manifest
    leaderboard: Leaderboard
    accounting: Accounting


def leaderboard(folder: SweepFolder, *, scoring: Scoring = LAST, where: Sequence[str] = ()) -> LeaderboardResult:
    """Rank the configurations of a sweep. Takes no lock and writes nothing; the sweep may run meanwhile.

    Args:
        folder: The sweep's folder.
        scoring: Which number of a job counts.
        where: Words that choose jobs, such as `learning_rate=0.03`: those with one of the values that are given for an
            option. The verdict is then about these alone.

    Raises:
        SweepNotFoundError: the folder contains no sweep.
        SweepUnreadableError: the folder cannot be read.
        InvalidInputError: no job fits the words, or a job has fewer epochs than are to be averaged.
    """
    manifest = folder.manifest()
    every = manifest.jobs_by_key()
    jobs = chosen(folder.name, every, where) if where else every
    _check_epochs(scoring, jobs)
    rows = folder.rows_of(jobs)
    # Options with one value among the chosen jobs are what these have in common.
    axes = () if where else manifest.axes
    found = board.leaderboard(
        jobs, rows, manifest.specification.data, axes, scoring=scoring, sequential=bool(manifest.looks)
    )
    return LeaderboardResult(folder.name, manifest, found, Accounting.of(len(jobs), rows.values()))


def chosen(name: str, jobs: Mapping[str, Job], where: Sequence[str]) -> dict[str, Job]:
    """Return the jobs that have, of each option that is named, one of the values that are given.

    Args:
        name: The sweep's name, for messages.
        jobs: The sweep's jobs, by key.
        where: Words such as `learning_rate=0.03`.

    Raises:
        InvalidInputError: a word is invalid, or no job fits.
    """
    fitting: dict[str, set[str]] = {}
    for word in where:
        option = word.partition("=")[0].replace("-", "_")
        try:
            fitting.setdefault(option, set()).update(pick(name, jobs, [word]))
        except InvalidInputError as error:
            raise InvalidInputError("--where", error.value, error.allowed) from None
    kept = set(jobs).intersection(*fitting.values())
    if not kept:
        allowed = f"words that fit a job of the sweep {name} together; each fits some"
        raise InvalidInputError("--where", " ".join(where), allowed)
    return {key: job for key, job in jobs.items() if key in kept}


def _check_epochs(scoring: Scoring, jobs: Mapping[str, Job]) -> None:
    fewest = min(job.epochs for job in jobs.values())
    if scoring.kind == "mean" and scoring.epochs > fewest:
        allowed = f"at most mean-{fewest}: a job of the sweep has {fewest} epoch{'' if fewest == 1 else 's'}"
        raise InvalidInputError("--metric", str(scoring), allowed)
