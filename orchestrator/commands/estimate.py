"""`--dry-run`: which jobs a command would train, about how long that takes, and how much disk it needs."""

import contextlib
import statistics
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from nn.errors import SeedsweepError
from orchestrator.cluster.connect import Tell
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import Sweeps
from orchestrator.running.session import Session
from orchestrator.running.underway import Forecast, longest_shorter, without_epochs
from orchestrator.text import counted, duration, listed, sized
from worker.job import Job

#: Jobs and estimated seconds above which a session says, before it begins, how much it is going to train.
MANY_JOBS, LONG_SECONDS = 200, 3600.0
#: The most sweeps whose rows an estimate reads, and the most jobs of one of them.
_SWEEPS, _JOBS = 10, 2000
#: The most rows whose weights are measured.
_SAMPLE = 200


@dataclass(frozen=True)
class Estimate:
    """What a command would do.

    Attributes:
        name: The sweep.
        configurations: How many configurations it would have.
        jobs: How many jobs it would have.
        kept: Jobs that are in its folder already.
        reused: Jobs that other sweeps in the output folder have trained.
        train: Jobs to train.
        seconds: About how long that takes; None if it is not known, or no worker is online.
        bytes: About how much disk their rows and weights need; None if it is not known.
        at_most: Whether results decide how many jobs there are.
    """

    name: str
    configurations: int
    jobs: int
    kept: int
    reused: int
    train: int
    seconds: float | None
    bytes: int | None
    at_most: bool

    def __str__(self) -> str:
        most = "at most " if self.at_most else ""
        jobs = f"{counted(self.configurations, 'configuration')}, {most}{counted(self.jobs, 'job')}"
        told = listed([f"{self.kept} kept", f"{self.reused} reused", f"{most}{self.train} to train"], "and")
        return f"{self.name}: {jobs}: {told}{f'; {_cost(self.seconds, self.bytes)}' if self.train else ''}"


def estimate(session: Session, *, reuse: bool = True, race: int | None = None) -> Estimate:
    """Return what a session would train, without writing anything.

    Args:
        session: From `SweepPlan.rehearse`; its place is told why results of other sweeps are not reused.
        reuse: Whether to take results of other sweeps.
        race: The most jobs that a race adds, which does not train failed jobs again; None without a race.
    """
    jobs, specification = session.jobs, session.manifest.specification
    kept, others = session.own(failed=race is not None)
    for row in kept:
        del session.missing[row.job]
    reused = [session.missing.pop(row.job) for row, _ in session.reusable(session.place.tell)] if reuse else []
    further = specification.remaining * len(specification.seeds) + (race or 0)
    number = len(session.missing) + further
    every = len({job.configuration for job in jobs.values()}) + specification.remaining
    counts = every, len(jobs) + further, len(kept), len(reused), number
    own = [row for row in (*kept, *others) if row.accepted]
    folder, rows = (session.folder, own) if own else _beside(session)
    return Estimate(session.folder.name, *counts, *_estimate(session, number, folder, rows), further > 0)


def tell_if_long(session: Session, number: int, tell: Tell) -> None:
    """Say before a session trains jobs how much that is, if it is much."""
    seconds, size = _estimate(session, number, session.folder, [row for row in session.rows.values() if row.accepted])
    if number > MANY_JOBS or (seconds or 0.0) > LONG_SECONDS:
        tell(f"This is much: {counted(number, 'job')}; {_cost(seconds, size)}. Ctrl-C keeps the jobs that have ended")


def _cost(seconds: float | None, size: int | None) -> str:
    if size is None:
        return "time and disk cannot be estimated, because no sweep here has trained all these models"
    return f"{'no worker is online' if seconds is None else f'about {duration(seconds)}'}, about {sized(size)}"


def _estimate(
    session: Session, number: int, folder: SweepFolder, rows: Sequence[Row]
) -> tuple[float | None, int | None]:
    """Return about how many seconds jobs like a session's missing ones take, and how many bytes they need.

    They are like those of the rows, which are of a sweep's folder. What is not known is None.
    """
    jobs, policy = session.missing or session.jobs, session.manifest.keep_weights
    best = int(policy.partition(":")[2] or 0) * len({job.configuration for job in jobs.values()})
    kept = 1.0 if policy == "all" else min(1.0, best / max(1, number))
    if not rows:
        return None, None
    going_on = longest_shorter(jobs, rows if folder is session.folder else ())
    begun = {key: (sum(row.epoch_seconds), row.epochs) for key, row in going_on.items()}
    sizes = [0]
    for row in rows[:_SAMPLE]:
        # Its weights may not be kept.
        with contextlib.suppress(OSError):
            sizes.append(folder.weights_path(str(row.weights_sha256)).lstat().st_size)
    size = kept * max(sizes) + statistics.fmean(len(row.line()) for row in rows)
    # The known jobs stand for those that a race or a sampler adds.
    width = session.place.width(number) * len(jobs) / max(1, number)
    return Forecast(rows, session.manifest.dataset).left(jobs, width, begun), round(number * size)


def _beside(session: Session) -> tuple[SweepFolder, list[Row]]:
    """Return the folder and rows of the last sweep with the session's trainer, data set and models, if there is one.

    Seeds, epochs, learning rates and limits may be others.
    """
    output, own, wanted = session.folder.path.parent, session.manifest, _models(session.jobs.values())
    with contextlib.suppress(SeedsweepError):
        for name in Sweeps(output).names()[:_SWEEPS]:
            with contextlib.suppress(SeedsweepError):
                other = SweepFolder(output, name)
                its = other.manifest()
                same = (its.specification.trainer, its.dataset) == (own.specification.trainer, own.dataset)
                jobs = its.jobs_by_key() if same and len(its.jobs) <= _JOBS else {}
                rows = other.rows_of(jobs).values() if wanted <= _models(jobs.values()) else ()
                alike = [row for row in rows if row.accepted and _models([row]) <= wanted]
                if _models(alike) == wanted:
                    return other, alike
    return session.folder, []


def _models(jobs: Iterable[Job | Row]) -> set[Hashable]:
    return {without_epochs(each.options, "learning_rate", "limit") for each in jobs}
