"""How to train each configuration and each job again, and how to check that the bits are the same."""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.analysis.leaderboard.scores import Entry
from orchestrator.analysis.leaderboard.table import ranked_jobs
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.commands import again, shell
from orchestrator.report.contents.verdict import MOST_ROWS

#: How many jobs are listed, the best first.
MOST_JOBS = 200
#: Fewest digits of a key that name a job.
KEY_DIGITS = 12
#: The page does not say where the folder is: its readers may have it elsewhere, and local paths stay private.
PLACE = (
    "The commands of this page look for the sweep's folder in the folder runs of the working folder. If it is in "
    "another one, add --output with the path of that one."
)


class Again(NamedTuple):
    """A configuration of the table by its rank, or a job by its seed, and how to train it again.

    Attributes:
        number: The rank, or the seed.
        name: The options that vary; for a job, also its seed, and its score or how it ended.
        train: The command that trains its jobs again; None if there is none.
        verify: The command that trains them again and compares; None if there is nothing to compare with.
    """

    number: int
    name: str
    train: str | None
    verify: str | None


def promise(sweep: Sweep) -> str:
    """Return what the commands do, and whether the bits will be the same."""
    trainer = next(iter(sweep.jobs.values())).trained_by
    text = (
        "The first command trains the jobs of a row again, all of them and no others. The second one does so beside "
        "this sweep's folder, and says whether every bit is the same."
    )
    if trainer.exact:
        return text
    return (
        f"{text} The trainer {trainer.name} is not exact: another kind of CPU, or other packages, may give other bits."
    )


def why_not(sweep: Sweep) -> str:
    """Return why a row may have no command, as a clause."""
    if all(job.is_current for job in sweep.jobs.values()):
        return "the command line has no words for its options"
    return "another version trained it, to other bits than the version that wrote this report"


def configurations(sweep: Sweep) -> list[Again]:
    """Return the configurations of the table."""
    found = []
    for standing in sweep.leaderboard.standings[:MOST_ROWS]:
        of_row = {key: sweep.jobs[key] for key in standing.scored.keys}
        first = next(iter(of_row.values()))
        can_be_compared = standing.n + standing.diverged > 0 and first.is_current
        verify = _verify(sweep, *sweep.names.picking(first.options), "--all") if can_be_compared else None
        found.append(Again(standing.rank, sweep.leaderboard.name(standing.options), again(sweep, of_row), verify))
    return found


def jobs(sweep: Sweep) -> list[Again]:
    """Return the first jobs by their score."""
    board, digits = sweep.leaderboard, KEY_DIGITS
    while len({key[:digits] for key in sweep.jobs}) < len(sweep.jobs):
        digits += 4
    found = []
    for _, entry in ranked_jobs(board)[:MOST_JOBS]:
        job = sweep.jobs[entry.key]
        verify = _verify(sweep, entry.key[:digits]) if entry.score is not None and job.is_current else None
        name = f"{sweep.names.job(job.seed, job.options)}: {_score(sweep, entry)}"
        found.append(Again(job.seed, name, again(sweep, {entry.key: job}), verify))
    return found


def _score(sweep: Sweep, entry: Entry) -> str:
    if entry.score is None:
        return entry.status
    return f"{sweep.names.metric.shown(entry.score)}{', diverged' if entry.status == 'diverged' else ''}"


def _verify(sweep: Sweep, *words: str) -> str:
    return shell("orchestrator", "verify", sweep.name, *words)
