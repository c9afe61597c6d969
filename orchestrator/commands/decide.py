"""`decide`: a race that adds seeds to a sweep until it is known which configuration to use."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from nn.errors import Described, InvalidInputError
from orchestrator.analysis.leaderboard.judgement import MOST_CONFIGURATIONS
from orchestrator.analysis.race import Race, Terms
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place
from orchestrator.commands.sweep import Display, SweepPlan, finish, plan_resumption, silent, snapshot
from orchestrator.folder.rows import Row, seen
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.listener import Progress
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import counted


@dataclass(frozen=True)
class DecideResult:
    """A race that ended.

    Attributes:
        race: The race.
        sweep: The sweep with its further rows, by the metric and the tolerance of the race.
        jobs: The number of jobs that got their rows in this session.
        seconds: How long this session took.
    """

    race: Race
    sweep: Sweep
    jobs: int
    seconds: float


def plan_decide(folder: SweepFolder, terms: Terms, place: Place) -> SweepPlan:
    """Return the plan for a race, after all checks that can be made before it begins; `decide` runs it.

    Args:
        folder: The sweep's folder.
        terms: When the race ends; its budget is from 1 to `MAX_JOBS`.
        place: Where the jobs are trained; it need not have been `reached`.

    Raises:
        InvalidInputError: the tolerance, the budget or the metric is invalid; or the sweep has one configuration, too
            many, or more jobs without a result than the budget.
        SeedsweepError: the sweep cannot be resumed (see `plan_resumption`).
    """
    Sweep.read(folder, terms.metric, rows=False).select(within=terms.within)
    plan = plan_resumption(folder, place)
    sweep = Sweep.of(folder, plan.manifest, plan.jobs, folder.rows_of(plan.jobs), terms.metric)
    configurations, specification = len(sweep.scored), sweep.manifest.specification
    if configurations == 1 and not specification.remaining:
        raise InvalidInputError("folder", sweep.name, "a sweep of at least two configurations; this one has one")
    if configurations > MOST_CONFIGURATIONS:
        found = Described(f"a sweep of {configurations:,} configurations")
        allowed = f"at most {MOST_CONFIGURATIONS:,} of them (orchestrator confirm takes the leaders of any sweep)"
        raise InvalidInputError("folder", found, allowed)
    added = sweep.manifest.added_by_races
    most = MAX_JOBS - len(sweep.jobs) + len(added)
    if terms.budget > most:
        allowed = f"an integer from 1 to {most}, because a sweep has at most {MAX_JOBS:,} jobs"
        raise InvalidInputError("budget", terms.budget, allowed)
    ended = {key for key, row in sweep.rows.items() if row.status != "cancelled"}
    rest = len(sweep.jobs.keys() - ended - added) + specification.remaining * len(specification.seeds)
    if rest > terms.budget:
        allowed = (
            f"at least {rest}: the number of jobs of the sweep {sweep.name} without a result, which are trained first "
            f"(orchestrator sweep --resume --name {sweep.name} trains them without a race)"
        )
        raise InvalidInputError("budget", terms.budget, allowed)
    return plan


def decide(session: Session, terms: Terms, *, display: Display = silent) -> DecideResult:
    """Train further seeds of the configurations that may be the best, until the race has ended.

    Jobs of the sweep that have no result yet are trained first; failed ones are not tried again. A sweep whose own
    verdict is then within the tolerance needs no race, and keeps both.

    Args:
        session: From the plan.
        terms: The tolerance, the budget and the metric; the plan has checked them.
        display: Shows the progress.

    Raises:
        SeedsweepError: the race cannot go on; rows so far are kept (see `Session.train`). The same race goes on later,
            with the same decisions.
    """
    started = time.monotonic()
    session.keep_own(failed=True)
    session.try_again()
    kept = len(session.rows)
    with display(snapshot(session, terms.metric)) as progress:
        for sentence in session.doubts:
            progress.message(sentence)
        race = _Race(session, terms, progress)
        session.reuse_siblings(progress.message)
        if race.needs_jobs():
            progress.message(f"Training {session.place.describe(terms.budget)}")
            session.train(progress, grow=race.grow, expected=terms.budget)
    ended = race.standing(session.manifest, session.rows)
    if ended.ended not in ("budget", "nothing trains"):
        # A race that needed no jobs is the sweep's answer, too; one that can have none leaves it as it is.
        session.look("decide", terms.within, str(ended.sweep.scoring))
    finish(session)
    judged = snapshot(session, terms.metric).select(within=terms.within)
    return DecideResult(ended, judged, jobs=len(session.rows) - kept, seconds=time.monotonic() - started)


def at_most(plan: SweepPlan, terms: Terms) -> int:
    """Return how many jobs `decide` adds at most."""
    standing = _Race(plan.rehearse(), terms, Progress()).standing(plan.manifest, plan.folder.rows_of(plan.jobs))
    if not standing.sweep.running and standing.next_round is None:
        return 0
    return max(0, terms.budget - len(plan.manifest.added_by_races))


class _Race:
    """The race of a session; it reports its decisions and its next look."""

    def __init__(self, session: Session, terms: Terms, progress: Progress) -> None:
        self._session = session
        self._terms = terms
        self._progress = progress
        self._metric = str(snapshot(session, terms.metric).scoring)
        self._told: tuple[str, ...] = ()

    def standing(self, manifest: Manifest, rows: Mapping[str, Row]) -> Race:
        """Return the race of a sweep that has recorded its tolerance."""
        session, terms = self._session, self._terms
        jobs = session.jobs if manifest.jobs == list(session.jobs) else manifest.jobs_by_key()
        manifest = manifest.with_look(seen("decide", rows, terms.within, self._metric))
        return Race(Sweep.of(session.folder, manifest, jobs, rows, terms.metric), terms)

    def needs_jobs(self) -> bool:
        """Report how the race stands, and return whether it needs jobs that have no row yet."""
        session = self._session
        if session.missing or session.remaining:
            more = session.remaining * len(session.manifest.specification.seeds)
            jobs = counted(len(session.missing) + more, "job")
            self._progress.message(f"Race in {session.folder.name}: {jobs} without a result, which come first")
            return True
        return self.grow(session.manifest, session.rows) is not None

    def grow(self, manifest: Manifest, rows: Mapping[str, Row]) -> Manifest | None:
        """Return the sweep with the jobs of the next look; None if the race has ended."""
        race = self.standing(manifest, rows)
        further = race.next_round
        if further is None:
            # The end is told with the table.
            return None
        # Too few seeds are no verdict yet: they are what the race adds.
        judgement = race.sweep.judgement
        verdict = [] if judgement.regret is None else [judgement.verdict.sentence]
        told = (*verdict, str(race))
        if verdict and not self._told:
            self._progress.message(race.prospect)
        if told != self._told:
            self._told = told
            for sentence in told:
                self._progress.message(sentence)
        return race.sweep.manifest.with_round(further)
