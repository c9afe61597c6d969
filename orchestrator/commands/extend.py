"""`extend`: adds seeds, epochs, or values of options that vary to a sweep.

`GrowthPlan` serves every command that extends a sweep: it adds the command's round once, and then every job gets its
row.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nn.errors import Described, InvalidInputError
from nn.options.describe import word, written
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place
from orchestrator.commands.sweep import WIDER, SweepPlan, check_values, finish, jobs_of, plan_resumption, registered
from orchestrator.errors import OutputError, SweepNotFoundError
from orchestrator.folder.rows import Row, Rows, seen
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interrupted
from orchestrator.running.session import Session
from orchestrator.sweeps.axes import Range
from orchestrator.sweeps.fields import Vocabulary, seeds_as_text
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Round
from orchestrator.sweeps.specification import SweepSpecification
from orchestrator.text import counted

#: The option that can be extended even if it does not vary: training goes on.
EPOCHS = "epochs"
#: With fewer seeds, a further look may leave a decided verdict undecided.
FEW_SEEDS = 10
#: Makes the round of a command from the sweep and its rows by key, always the same; None if the sweep has it already,
#: so that the command goes on with it. Raises `InvalidInputError` if the sweep cannot be extended in this way.
MakeRound = Callable[[Manifest, Mapping[str, Row]], Round | None]


@dataclass(frozen=True)
class GrowthPlan(SweepPlan):
    """The plan of a command that extends a sweep. Its manifest and jobs are those of the extended one.

    Attributes:
        make_round: Makes the command's round. It is asked again once the folder is locked, because another process may
            have extended the sweep since the plan was made.
    """

    make_round: MakeRound

    @contextlib.contextmanager
    def begin(self) -> Iterator[Session]:
        """Extend the sweep, and hold its lock while the block runs.

        If the block raises before a further job has ended, the sweep is as it was before; on a cluster, its jobs go on.

        Raises:
            SweepBusyError: another process works on the sweep.
            SweepExistsError: another session has extended the sweep in another way.
            InvalidInputError: the sweep can no longer be extended as planned.
            OutputError: the folder cannot be written.
        """
        with self.folder.exclusive():
            before = self.folder.manifest()
            grown, is_new = self._grow(before)
            session = self.session(grown)
            # Results that the cluster already has of new jobs come from another sweep.
            session.resuming = not is_new
            try:
                yield session
            except BaseException:
                if is_void(session):
                    if session.again.keys() & session.rows.keys():
                        # A job that had failed before has ended meanwhile: what was seen before stays recorded.
                        before = before.model_copy(update={"looks": self.folder.manifest().looks})
                    try:
                        with self.place.interruption.shield():
                            again = session.again.items()
                            lost = [row for key, row in again if row.status == "cancelled" and key not in session.rows]
                            if lost:
                                self.folder.append(*lost)
                            self.folder.write_manifest(before)
                    except OutputError as error:
                        self.place.tell(f"The extension is not withdrawn: {error}. orchestrator undo withdraws it")
                raise

    def _grow(self, before: Manifest) -> tuple[Manifest, bool]:
        """Add the round to the sweep, on its cluster and in its folder; return it, and whether the round is new."""
        manifest = registered(self.place, before)
        rows = self.folder.rows_of(manifest.jobs_by_key())
        further = self.make_round(manifest, rows)
        if further is not None:
            manifest = manifest.with_round(further, seen(further.kind, rows))
            if self.place.cluster is not None:
                # The cluster first: another session may be faster. `--resume` also takes up a round that is only there.
                manifest = self.place.cluster.registry.register(manifest)
        manifest = manifest.with_session()
        # An interruption is raised again soon, when the caller can say what is kept.
        with contextlib.suppress(Interrupted), self.place.interruption.shield():
            self.folder.write_manifest(manifest)
        return manifest, further is not None


def is_void(session: Session) -> bool:
    """Return whether a session has added a round of which no job has ended; on a cluster, its jobs go on: none is."""
    if session.resuming or not session.manifest.rounds or session.place.cluster is not None:
        return False
    return session.rows.keys() <= set(session.manifest.undone().jobs)


def undo(folder: SweepFolder, place: Place) -> tuple[Round, int, int]:
    """Withdraw the last round of a sweep: return it, and how many jobs and rows of them the sweep has no longer.

    The rows and weights stay in the folder for later sweeps, and for this one if it gets the same jobs again. The round
    and what was seen of the results stay recorded: they count in what may be said of the sweep.

    Args:
        folder: The sweep's folder.
        place: May name the cluster that the sweep ran on, where open jobs of the round are cancelled.

    Raises:
        SweepNotFoundError: the folder is not a sweep's, or the sweep has no round.
        SweepBusyError: it runs.
        SweepExistsError: another session has extended the sweep.
        OutputError: the folder cannot be written.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    place = place.reached()
    with folder.exclusive():
        manifest = folder.manifest()
        before = registered(place, manifest)
        # If an undo failed after the cluster had taken it, it ends now.
        is_new = not manifest.rounds or manifest.rounds[-1] in before.rounds
        if is_new and not before.rounds:
            raise SweepNotFoundError(f"{folder.name} has no round to undo: extend, confirm and decide add rounds")
        listed = before.jobs_by_key()
        rows = folder.rows_of(manifest.jobs_by_key() | listed)
        if is_new:
            manifest = before
            # To withdraw results that one may have seen is to go on by them.
            shown = {key: row for key, row in rows.items() if key in listed}
            before = before.with_look(seen("extend", shown)).undone()
        jobs = before.jobs_by_key()
        gone = set(manifest.jobs) - set(jobs)
        left = Rows({key: row for key, row in rows.items() if key in jobs})
        # What cannot be judged is refused before anything is withdrawn.
        Sweep.of(folder, before, jobs, left)
        if place.cluster is not None:
            # Imported here because it imports Celery, which `sweep` does later.
            from orchestrator.running.cancel import cancel_jobs

            registry = place.cluster.registry
            # The cluster first: another session may be faster.
            if registry.manifest(manifest.name) is not None:
                registry.register(before)
                if len(left) == len(jobs):
                    registry.finish(manifest.name)
            cancel_jobs(place.cluster, manifest.name, gone)
        with place.interruption.shield():
            # In this order: what does not fit on the disk withdraws nothing.
            finish(Session(folder, before, jobs, place, rows=left))
            folder.write_manifest(before)
    return manifest.rounds[-1], len(gone), len(rows.keys() & gone)


def planned(plan: SweepPlan, make_round: MakeRound) -> GrowthPlan:
    """Return a plan that extends the sweep of this plan, after checking that it can be extended so.

    Raises:
        InvalidInputError: the sweep cannot be extended in this way.
    """
    rows, manifest, jobs = plan.folder.rows_of(plan.jobs), plan.manifest, plan.jobs
    further = make_round(manifest, rows)
    if further is not None:
        look = seen(further.kind, rows)
        manifest = manifest.with_round(further, look)
        jobs = jobs_of(manifest)
        # A job that is added may lack the sweep's metric.
        Sweep.of(plan.folder, manifest, jobs, {})
        seeds = len({*manifest.grown.seeds, *further.seeds})
        now = Sweep.of(plan.folder, plan.manifest, plan.jobs, rows)
        if look and seeds < FEW_SEEDS and now.judgement.history == "fixed":
            plan.place.tell(f"{WIDER}. With {counted(seeds, 'seed')}, the verdict may be undecided")
    return GrowthPlan(plan.folder, manifest, jobs, plan.place, further is None, make_round)


def plan_extension(
    folder: SweepFolder, place: Place, values: Mapping[str, Sequence[Any]], words: Vocabulary
) -> GrowthPlan:
    """Return the plan for extending a sweep, after all checks that can be made before it begins.

    Args:
        folder: The sweep's folder.
        place: Where the jobs are trained; it need not have been `reached`.
        values: By word: further seeds for all configurations, and further values of options that vary; `epochs` need
            not vary yet.
        words: The vocabulary of the sweep.

    Raises:
        InvalidInputError: there is nothing to add, or it cannot be added: the error names the word or the option.
        SeedsweepError: the sweep cannot be resumed (see `plan_resumption`).
    """
    plan, grid = plan_resumption(folder, place), {}
    own = plan.manifest.grown
    for name, each in values.items():
        if option := words.words[name].option:
            grid[option] = tuple(each)
        elif name != "seeds":
            allowed = f"nothing, because a sweep keeps its {name}; further seeds or values of {', '.join(own.grid)}"
            raise InvalidInputError(name, words.written(name, each), allowed)
    planning = planned(plan, functools.partial(_round, seeds=tuple(values.get("seeds", ())), grid=grid))
    check_values(planning.manifest.grown, plan.manifest.dataset, place.settings)
    others = len(plan.manifest.jobs) - len(plan.manifest.grown.jobs_by_key(plan.manifest.dataset))
    if EPOCHS in grid and others > 0:
        jobs = counted(others, "job")
        place.tell(f"Only the seeds that all configurations have get more epochs: {jobs} of confirm or decide get none")
    return planning


def _round(
    manifest: Manifest, _rows: Mapping[str, Row], *, seeds: tuple[int, ...], grid: Mapping[str, tuple[Any, ...]]
) -> Round | None:
    if not seeds and not grid:
        allowed = "further seeds, further values of an option that varies, or more epochs"
        raise InvalidInputError("seeds", Described("missing"), allowed)
    further = Round(kind="extend", seeds=seeds, grid=dict(grid))
    if further in manifest.rounds:
        return None
    refuse_unfinished(manifest.specification)
    grown = manifest.grown
    if not set(seeds).isdisjoint(grown.seeds):
        allowed = f"seeds that the sweep does not have; it has {seeds_as_text(grown.seeds)}"
        raise InvalidInputError("seeds", seeds_as_text(seeds), allowed)
    for name, values in grid.items():
        _check_values(grown, name, values)
    return further


def refuse_unfinished(specification: SweepSpecification) -> None:
    """Refuse a sweep whose sampler has not chosen all of its configurations.

    Raises:
        InvalidInputError: the sampler has configurations left to choose.
    """
    if specification.remaining:
        left = f"one whose sampler has {specification.remaining} more configurations to choose"
        allowed = "a sweep whose configurations are known (orchestrator sweep --resume --name NAME goes on with it)"
        raise InvalidInputError("folder", Described(left), allowed)


def _check_values(grown: SweepSpecification, name: str, values: Sequence[Any]) -> None:
    own, given = grown.values(name), ",".join(map(written, values))
    if grown.sampling is not None:
        allowed = f"nothing, because the sampler {grown.sampling.sampler} chose the sweep's configurations"
        raise InvalidInputError(name, given, f"{allowed} (--seeds extends it)")
    for group in grown.zipped:
        if name in group.split(","):
            raise InvalidInputError(name, given, f"nothing, because the values of {group} go together")
    if any(isinstance(value, Range) for value in values):
        raise InvalidInputError(name, given, f"a range with a number of points, such as {values[0]}:5")
    if name == EPOCHS and min(values) <= max(own):
        raise InvalidInputError(name, given, f"more than {max(own)}, the epochs that the sweep has")
    if name not in (*grown.grid, EPOCHS):
        varies = ", ".join(word(grown.model, each) for each in grown.grid) or "none"
        raise InvalidInputError(
            name,
            given,
            f"only an option that varies in the sweep ({varies}), or more epochs; here it is fixed at "
            f"{written(own[0])}: to vary it, start a new sweep with --spec and this sweep's sweep.json, which reuses "
            "the results",
        )
    if any(value in own for value in values):
        allowed = f"values that the sweep does not have; it has {', '.join(map(written, own))}"
        raise InvalidInputError(name, given, allowed)
