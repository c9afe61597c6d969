"""`verify`: trains jobs of a sweep again, and compares weights and accuracies to the bit."""

import contextlib
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from nn.errors import DatasetError
from nn.options.network import MAX_SEED
from orchestrator.analysis.selection import pick
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place, Tell, ignore
from orchestrator.commands.sweep import refuse_earlier
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.retraining import Check, choose, train_again
from orchestrator.text import counted
from worker.job import Job
from worker.trainers import registry

DEFAULT_JOBS = 5
#: Why the differences of `Check.noted` prove nothing.
WHY_NOTED = "these jobs are not exact, and another environment trained the rows"


@dataclass(frozen=True)
class Verification:
    """A verification that has been checked, and what it has found: the comparison of rows with a second training.

    Attributes:
        sweep: The sweep, with the rows of the candidates: the jobs that fit the words and have a result.
        jobs: The jobs to train again, in the sweep's order.
        seed: The seed that chose the jobs among the candidates.
        place: Where the jobs are trained.
        checks: One for each job, in the same order; empty before they were trained again.
    """

    sweep: Sweep = field(repr=False)
    jobs: list[Job] = field(repr=False)
    seed: int
    # It may know a password.
    place: Place = field(repr=False)
    checks: tuple[Check, ...] = ()

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.sweep.name

    @property
    def candidates(self) -> int:
        """How many jobs fit the words and have a result."""
        return len(self.sweep.rows)

    @property
    def different(self) -> list[Check]:
        """The checks that found a difference."""
        return [check for check in self.checks if check.differences]

    @property
    def noted(self) -> list[Check]:
        """The checks that found only differences that prove nothing (`Check.noted`)."""
        return [check for check in self.checks if check.noted and not check.differences]

    @property
    def gap(self) -> str:
        """By how much the results that `noted` has differ, in words."""
        found = [check.noted for check in self.noted]
        pairs = [(each.kept, each.again) for each in itertools.chain(*found)]
        gaps = (abs(a - b) for a, b in pairs if isinstance(a, float) and isinstance(b, float))
        # A metric of an epoch that only one of them has is compared with nothing.
        ends = sum(any(each.what == "status" or None in (each.kept, each.again) for each in noted) for noted in found)
        told = f"by at most {max(gaps, default=0.0):.3g} in a metric"
        return f"{told}, and {ends} in status or number of epochs" if ends else told

    def __str__(self) -> str:
        """What was found, in words."""
        jobs = f"{counted(len(self.checks), 'job')} of {self.name}"
        if self.different:
            return f"NOT VERIFIED: {len(self.different)} of {jobs} gave something different"
        if self.noted:
            told = f"Undecided: {len(self.noted)} of {jobs} differ, {self.gap}"
            return f"{told}. That proves nothing: {WHY_NOTED}"
        return f"Verified: {jobs} {'gives' if len(self.checks) == 1 else 'give'} the same bits again"


def plan_verification(
    folder: SweepFolder,
    place: Place,
    *,
    sweep: Sweep | None = None,
    words: Sequence[str] = (),
    jobs: int | None = DEFAULT_JOBS,
    seed: int | None = None,
) -> Verification:
    """Choose the jobs, and return the plan, after all checks that can be made before it begins.

    Args:
        folder: The sweep's folder.
        place: Where the jobs are trained; it need not have been `reached`.
        sweep: The sweep, if it was read before, its data set is elsewhere on this machine, or its weights may be
            missing; None to read the folder.
        words: Pick the jobs to choose from (`orchestrator.analysis.selection`); none for all.
        jobs: How many jobs to train again, chosen at random; None for all that have a result.
        seed: The same seed chooses the same jobs; None for a random one.

    Raises:
        SweepNotFoundError: the folder is not a sweep's, or no job has a result.
        SweepExistsError: an earlier version trained the sweep's jobs to other bits.
        InvalidInputError: the words fit no job of the sweep.
        DatasetError: the data set on this machine is not the one that the sweep was trained on.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    if sweep is None:
        manifest = folder.manifest()
        jobs_by_key = manifest.jobs_by_key()
        # With rows that contradict their jobs, which is a difference.
        sweep = Sweep.of(folder, manifest, jobs_by_key, folder.rows(jobs_by_key))
    refuse_earlier(sweep.jobs)
    picked = frozenset(pick(folder.name, sweep.jobs, words))
    rows = {key: row for key, row in sweep.rows.items() if row.accepted and key in picked}
    if not rows:
        raise SweepNotFoundError(f"The sweep {folder.name} in {folder.path.parent} has no result to verify")
    seed = random.SystemRandom().randint(0, MAX_SEED) if seed is None else seed
    in_order = [rows[key] for key in sweep.jobs if key in rows]
    chosen = choose(in_order, len(in_order) if jobs is None else jobs, seed)
    if place.settings.broker_url is None:
        made, known = sweep.manifest.specification, sweep.manifest.dataset
        found = made.trained_by.digest(made.source, place.settings.cache_dir)
        if found != known:
            trained = f"the sweep {folder.name} was trained on {known[:12]}"
            raise DatasetError(f"The data set {made.data} is now {found[:12]}; {trained}")
    return Verification(replace(sweep, rows=rows), [sweep.jobs[row.job] for row in chosen], seed, place.reached())


def verify(
    plan: Verification, *, tell: Tell = ignore, checked: Callable[[Check], None] = lambda _check: None
) -> Verification:
    """Train the planned jobs again, compare, and return the plan with its checks. The sweep's folder is only read.

    Args:
        plan: From `plan_verification`.
        tell: Receives sentences for the user, such as that Redis does not answer.
        checked: Receives each check as its job ends.

    Raises:
        SeedsweepError: the verification cannot go on.
    """
    checks: dict[str, Check] = {}
    sweep, made = plan.sweep, plan.sweep.manifest.specification
    here = registry.code(made.trainer)
    made_by = {sweep.rows[job.key].code for job in plan.jobs} - {here}
    if made_by:
        others = " and ".join(sorted(each or "unknown code" for each in made_by))
        tell(f"The code of the trainer differs: {others} made the sweep's results, and {here} is here")
    with plan.place.open(made.trainer, made.data, jobs=len(plan.jobs), tell=tell) as cluster:
        bare, varying = sweep.manifest.bare, sweep.names.varying
        trained = train_again(cluster, sweep.folder, plan.jobs, sweep.rows, tell, varying, bare=bare)
        with contextlib.closing(trained) as found:
            for check in found:
                checks[check.job] = check
                checked(check)
    return replace(plan, checks=tuple(checks[job.key] for job in plan.jobs))
