"""`sweep`: plans a new or a resumed sweep, and trains its jobs until every one has its row.

Every command that works on a sweep has a plan: all checks have passed, and nothing has begun.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nn.errors import Beside, DatasetError, Described, InvalidInputError
from orchestrator.analysis.leaderboard.table import to_csv, to_json
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place
from orchestrator.commands.estimate import tell_if_long
from orchestrator.errors import SweepExistsError
from orchestrator.folder.rows import seen
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import LAST, open_sweep
from orchestrator.running.growth import first_batch
from orchestrator.running.listener import SILENT, Progress
from orchestrator.running.session import Session
from orchestrator.sweeps.fields import Vocabulary, specification
from orchestrator.sweeps.manifest import ALL_WEIGHTS_JOBS, Manifest
from orchestrator.sweeps.naming import free_name
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.specification import SweepSpecification
from orchestrator.text import counted
from worker.job import Job
from worker.settings import Settings
from worker.trainers import registry

#: What the first look at a sweep's results costs.
WIDER = "A further look: intervals get wider, to stay valid for any number of looks"
#: Opens a display of a sweep with the rows that it has already.
Display = Callable[[Sweep], Progress]


def silent(_sweep: Sweep) -> Progress:
    """Open a display that shows nothing."""
    return SILENT


def snapshot(session: Session, metric: str | None = None) -> Sweep:
    """Return the sweep with the rows that a session has now; it is judged by a metric, or by its own."""
    return Sweep.of(session.folder, session.manifest, session.jobs, session.rows, metric)


@dataclass(frozen=True)
class SweepPlan:
    """The plan of a command on a sweep.

    Attributes:
        folder: Where rows and weights go.
        manifest: The sweep.
        jobs: The sweep's jobs by key, in its order.
        place: Where the jobs are trained.
        resuming: Whether an earlier session began with the sweep.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: dict[str, Job]
    place: Place
    resuming: bool

    def rehearse(self, keep_weights: str | None = None) -> Session:
        """Return the session that would begin, without its rows; nothing is written. Weights are kept as given."""
        manifest = self.manifest.model_copy(update={"keep_weights": keep_weights or self.manifest.keep_weights})
        return Session(self.folder, manifest, dict(self.jobs), self.place, resuming=self.resuming)

    def judged_by(self, metric: str | None) -> SweepPlan:
        """Return the plan of the sweep that is judged by a metric from now on; None changes nothing.

        Args:
            metric: As `Scoring.parse` reads it.

        Raises:
            InvalidInputError: the jobs have no such metric, or fewer epochs than are to be averaged.
        """
        if metric is None:
            return self
        judged = Sweep.of(self.folder, self.manifest, self.jobs, {}, metric)
        return replace(self, manifest=self.manifest.model_copy(update={"metric": str(judged.scoring)}))

    @contextlib.contextmanager
    def begin(self) -> Iterator[Session]:
        """Make the sweep's folder, or take up the one that exists, and hold its lock while the block runs.

        Raises:
            SweepExistsError: the folder was made meanwhile.
            SweepBusyError: another process works on the sweep.
            OutputError: the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with self.place.interruption.shield():
                stack.enter_context(self.folder.exclusive(None if self.resuming else self.manifest))
            yield self.session(self.note_resumption() if self.resuming else self.folder.manifest())

    def session(self, written: Manifest) -> Session:
        """Return a session that has no rows yet; the caller holds the folder's lock, and has read its manifest."""
        # Since this plan was made, another session may have added jobs.
        jobs = self.jobs if written.jobs == self.manifest.jobs else jobs_of(written)
        return Session(self.folder, written, jobs, self.place, resuming=self.resuming)

    def note_resumption(self) -> Manifest:
        """Add this session's provenance to `sweep.json`, and return that; the caller holds the folder's lock."""
        written = self.folder.manifest()
        if self.manifest.metric != written.metric:
            # Which metric counts may depend on the results that could be seen.
            written = written.with_look(seen("resume", self.folder.rows_of(self.jobs)))
        written = written.with_session().model_copy(update={"metric": self.manifest.metric})
        self.folder.write_manifest(written)
        return written


def jobs_of(manifest: Manifest) -> dict[str, Job]:
    """Return a sweep's jobs by key, in its order.

    Raises:
        SweepExistsError: this version derives other jobs from the sweep's specification, or would train them to other
            bits.
    """
    jobs = manifest.jobs_by_key()
    if list(jobs) != manifest.jobs:
        trainer = registry.trainer(manifest.specification.trainer)
        raise SweepExistsError(
            f"Version {trainer.version} of the trainer {trainer.name}, which is installed here, derives other jobs "
            "from the specification of this sweep: start it again under another --name"
        )
    refuse_earlier(jobs)
    return jobs


def refuse_earlier(jobs: Mapping[str, Job]) -> None:
    """Raise `SweepExistsError` if an earlier version trained the sweep's jobs to other bits than this one would."""
    old = next((job for job in jobs.values() if not job.is_current), None)
    if old is not None:
        raise SweepExistsError(
            f"Version {old.version} of the trainer {old.trainer} trained jobs of this sweep, to other bits than "
            "the version here: they cannot be resumed or verified; start the sweep again under another --name"
        )


def registered(place: Place, manifest: Manifest) -> Manifest:
    """Return the manifest, with what another session has added to the sweep on the cluster.

    Raises:
        SweepExistsError: the cluster knows another sweep of this name.
    """
    # By the manifest's name: the folder may have been renamed, and the cluster knows the name it began with.
    return manifest if place.cluster is None else place.cluster.registry.longer(manifest)


# The sweep


def plan_words(
    words: Mapping[str, Any],
    vocabulary: Vocabulary,
    name: str | None,
    output: Path,
    place: Place,
    *,
    resume: bool = False,
    skip_invalid: bool = False,
    spelled: Callable[[str], str] = str,
) -> SweepPlan:
    """Return the plan for the sweep that words describe: a new one, or with `resume` an existing one.

    A new sweep whose words name no data set has that of SEEDSWEEP_DATA, which workers read, too, if SEEDSWEEP_TRAINER
    is its trainer.

    Args:
        words: The values that the user gave, by word.
        vocabulary: The words of the sweep's trainer.
        name: The sweep's name; None for one by the time, or for the last sweep.
        output: The folder that holds the sweeps.
        place: Where the jobs are trained; it need not have been `reached`.
        resume: Whether to go on with a sweep; the words may then change nothing.
        skip_invalid: Whether to leave out combinations that cannot be trained together.
        spelled: Returns a word as the user spelled it.

    Raises:
        SeedsweepError: see `plan_sweep` and `plan_resumption`.
    """
    if resume:
        plan = plan_resumption(open_sweep(LAST if name is None else name, output), place, skip_invalid=skip_invalid)
        for word, value in words.items():
            own = vocabulary.value_of(plan.manifest.specification, word)
            if value != own:
                began = "nothing" if own in (None, (None,)) else vocabulary.written(word, own)
                allowed = f"{began}, as the sweep {plan.folder.name} began (or leave it out)"
                raise InvalidInputError(spelled(word), vocabulary.written(word, value), allowed)
        return plan
    folder = SweepFolder(output, free_name(output) if name is None else name)
    settings, source = place.settings, spelled("data")
    if "data" not in words and settings.data is not None and settings.trainer == words.get("trainer", registry.DEFAULT):
        source = "SEEDSWEEP_DATA"
        words = {**vocabulary.parse({"data": settings.data}, spell=lambda _: source), **words}
    try:
        return plan_sweep(folder, specification(words, vocabulary, skip_invalid=skip_invalid), place)
    except DatasetError as error:
        raise DatasetError(f"{source}: {error}" if "data" in words else str(error)) from None


def plan_sweep(folder: SweepFolder, specification: SweepSpecification, place: Place) -> SweepPlan:
    """Return the plan for a new sweep, after all checks that can be made before it begins.

    Args:
        folder: The sweep's folder, which does not exist yet; its name is the sweep's.
        specification: The sweep.
        place: Where the jobs are trained; it need not have been `reached`.

    Raises:
        SweepExistsError: the folder exists, or the cluster knows another sweep of this name.
        InvalidInputError: an option of a configuration has no effect, such as a limit that does not limit its data set.
        DatasetError: the data set cannot be read.
        OutputError: the folder cannot be made.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    folder.refuse_existing()
    dataset = specification.trained_by.digest(specification.data, place.settings.cache_dir)
    check_values(specification, dataset, place.settings)
    jobs = specification.jobs_by_key(dataset)
    if specification.skip_invalid:
        every = specification.size // len(specification.seeds)
        left = counted(every - len(jobs) // len(specification.seeds), "combination")
        place.tell(f"{left} of {every} left out as invalid")
        if not jobs:
            raise InvalidInputError("skip_invalid", Described("given"), "a sweep with a combination that is possible")
    manifest = Manifest(
        name=folder.name,
        specification=specification,
        dataset=dataset,
        jobs=list(jobs),
        provenance=provenance(specification.trainer),
        keep_weights="best:3" if specification.size > ALL_WEIGHTS_JOBS else "all",
    )
    folder.check_writable()
    place = place.reached()
    if not jobs:
        manifest = first_batch(manifest, place.width(specification.size))
        jobs = manifest.jobs_by_key()
    registered(place, manifest)
    return SweepPlan(folder, manifest, jobs, place, resuming=False)


def check_values(specification: SweepSpecification, dataset: str, settings: Settings) -> None:
    """Let the trainer check the values of a specification together.

    Args:
        specification: The specification.
        dataset: The data set's digest.
        settings: Say where prepared data sets are kept.

    Raises:
        InvalidInputError: an option of a configuration has no effect, such as a limit that does not limit its data set.
        DatasetError: the data set cannot be read.
    """
    trainer = specification.trained_by
    values = {name: specification.extremes(name) for name in specification.model.model_fields}
    trainer.check(values, dataset, lambda: registry.load(trainer, specification.data, settings.cache_dir))


def plan_resumption(folder: SweepFolder, place: Place, *, skip_invalid: bool = False) -> SweepPlan:
    """Return the plan for resuming a sweep, after all checks that can be made before. Arguments: see `plan_sweep`.

    With `skip_invalid`, which changes nothing, the sweep must have begun with it.

    Raises:
        InvalidInputError: the sweep began without `skip_invalid`.
        SweepNotFoundError: the folder is not a sweep's.
        OutputError: the folder cannot be written.
        SweepExistsError: another process works on the sweep, the data set has changed, this version derives other jobs,
            or the cluster knows another sweep of this name.
        DatasetError: the data set cannot be read.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    manifest = folder.manifest()
    if skip_invalid and not manifest.specification.skip_invalid:
        beside = Beside(f"the sweep {folder.name}, which began without it")
        raise InvalidInputError("skip_invalid", Described("given"), beside)
    # A busy sweep is reported before any other problem.
    with folder.exclusive():
        pass
    data = manifest.specification.source
    dataset = manifest.specification.trained_by.digest(data, place.settings.cache_dir)
    if dataset != manifest.dataset:
        raise SweepExistsError(
            f"The sweep {folder.name} began on the data set {manifest.dataset[:12]}, and {data} is now "
            f"{dataset[:12]}: start a new sweep under another --name"
        )
    jobs = jobs_of(manifest)
    place = place.reached()
    longer = registered(place, manifest)
    return SweepPlan(folder, longer, jobs if longer.jobs == manifest.jobs else jobs_of(longer), place, resuming=True)


def train(
    session: Session,
    *,
    reuse: bool = True,
    any_code: bool = False,
    reuse_from: Collection[SweepFolder] = (),
    fail_fast: int | None = None,
    keep_weights: str | None = None,
    display: Display = silent,
) -> Sweep:
    """Give every job its row: from the folder, from other sweeps beside it, from the cluster, or by training it.

    Args:
        session: From `SweepPlan.begin`.
        reuse: Whether to take results of other sweeps.
        any_code: Whether to take also those that other code of the trainer made than is installed here.
        reuse_from: Sweeps whose results are taken even if they are elsewhere, or other users can write to them.
        fail_fast: The number of failed jobs after which the others are cancelled; None for no such number.
        keep_weights: Which weights the folder keeps from now on (`Manifest.keep_weights`); None for no change.
        display: Shows the progress.

    Raises:
        SeedsweepError: the sweep cannot go on; rows and weights so far are kept (see `Session.train`).
    """
    session.any_code, session.reuse_from, session.fail_fast = any_code, reuse_from, fail_fast
    session.keep_weights(keep_weights)
    session.keep_own()
    looks = session.manifest.looks
    session.try_again()
    kept = len(session.rows)
    said = [WIDER] if session.manifest.looks and not looks else []
    said += session.doubts
    if reuse:
        session.reuse_siblings(said.append)
    with display(snapshot(session)) as progress:
        left = counted(session.remaining, "more configuration")
        drawn = f" so far; {left} to be drawn" if session.remaining else ""
        progress.message(f"Sweep {session.folder.name}: {counted(len(session.jobs), 'job')}{drawn}")
        if kept:
            progress.message(f"{kept} {'was' if kept == 1 else 'were'} finished in an earlier session of this sweep")
        missing, trainer = len(session.missing), session.manifest.specification.trainer
        if missing and (others := {row.code for row in session.rows.values()} - {registry.code(trainer)}):
            said.append(
                f"The code of the trainer {trainer} has changed since it made results of this sweep: "
                f"{' and '.join(sorted(each or 'unknown code' for each in others))} then, and "
                f"{registry.code(trainer)} now"
            )
        for sentence in said:
            progress.message(sentence)
        if missing:
            progress.message(f"Training {counted(missing, 'job')} {session.place.describe(missing)}")
            tell_if_long(session, missing, progress.message)
        # A cluster is told that the sweep has ended, even if there is nothing to train.
        if missing or session.remaining or session.place.cluster is not None:
            session.train(progress, reuse=reuse)
    return finish(session)


def submit(session: Session, *, reuse: bool = True, keep_weights: str | None = None) -> Sweep:
    """Queue the jobs of a session on its cluster without waiting for them. Arguments and errors: see `train`."""
    session.keep_weights(keep_weights)
    session.submit(reuse=reuse)
    return snapshot(session)


def finish(session: Session) -> Sweep:
    """Write the leaderboard of a session in which every job has its row, and return the sweep.

    Raises:
        OutputError: the folder cannot be written.
    """
    ended = snapshot(session)
    board = ended.leaderboard
    with session.place.interruption.shield():
        session.folder.finish(session.rows, list(session.jobs), to_csv(board), to_json(board))
    return ended
