"""Seedsweep from Python: what `import seedsweep` publishes. Each function does what the command of its name does.

Nothing here installs a signal handler. Only the progress of jobs is printed, unless `progress=False`. A function may be
called in any thread. Ctrl-C, also in a notebook, interrupts it as any other: rows so far are kept in the folder, and
the same call with `resume=True` goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
from rich.console import Console

from nn.errors import Described, InvalidInputError, SeedsweepError
from nn.options.network import MAX_SEED, NetworkOptions
from orchestrator.analysis import comparison as comparing
from orchestrator.analysis import summary as summing
from orchestrator.analysis.comparison import Comparison
from orchestrator.analysis.leaderboard import table
from orchestrator.analysis.leaderboard.board import Leaderboard as Board
from orchestrator.analysis.leaderboard.board import Standing
from orchestrator.analysis.leaderboard.judgement import Verdict
from orchestrator.analysis.lookup import best_job, restore
from orchestrator.analysis.race import Terms
from orchestrator.analysis.selection import JOB_WORDS, pick, pick_one, split
from orchestrator.analysis.sweep import Sweep as Snapshot
from orchestrator.cli.shared.output import say
from orchestrator.cli.shared.parameters import MAX_WORKERS
from orchestrator.cli.shared.progress import progress_for
from orchestrator.cli.verify import describe
from orchestrator.cluster.connect import Place, ignore, place_for, require_broker
from orchestrator.commands import claim as claiming
from orchestrator.commands import confirm as confirming
from orchestrator.commands import decide as deciding
from orchestrator.commands import extend as extending
from orchestrator.commands import manage as managing
from orchestrator.commands import report as reporting
from orchestrator.commands import sweep as sweeping
from orchestrator.commands import test as testing
from orchestrator.commands import verify as verifying
from orchestrator.commands import watch as watching
from orchestrator.commands.sweep import Display, SweepPlan, silent
from orchestrator.errors import MissingPackageError, SweepNotFoundError
from orchestrator.export import formats as exporting
from orchestrator.folder.rows import Accounting, Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import LAST, REPORT, Sweeps, open_sweep
from orchestrator.sweeps.axes import Listed
from orchestrator.sweeps.fields import vocabulary, vocabulary_of
from orchestrator.sweeps.files import SpecificationFile
from orchestrator.sweeps.manifest import check_keep_weights
from orchestrator.sweeps.specification import MAX_JOBS
from worker.job import Job
from worker.settings import MAX_TIME_LIMIT, load_settings
from worker.trainers import registry
from worker.trainers.network import read_weights
from worker.trainers.registry import DEFAULT

if TYPE_CHECKING:
    import pandas as pd

    from nn.network import DeepNeuralNetwork

#: The default folder of sweeps, as on the command line.
OUTPUT = "runs"


def _integer(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and low <= value <= high:
        return int(value)
    raise InvalidInputError(name, value, f"an integer from {low} to {high}")


def _number(name: str, value: object) -> float:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    raise InvalidInputError(name, value, "a number")


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise InvalidInputError(name, value, "text")


def _metric(metric: object) -> str | None:
    return None if metric is None else _text("metric", metric)


def _switch(name: str, value: object) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InvalidInputError(name, value, "True or False")


def _path(name: str, value: object) -> Path:
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if isinstance(path, str) and path and "\0" not in path:
        with contextlib.suppress(UnicodeEncodeError):
            return Path(os.fsdecode(os.fsencode(path))).absolute()
    raise InvalidInputError(name, value, "the path of a file or a folder")


def _data(data: object) -> str | None:
    return None if data is None else _text("data", os.fspath(data) if isinstance(data, os.PathLike) else data)


def _kept(policy: object) -> str | None:
    return None if policy is None else check_keep_weights(_text("keep_weights", policy))


def _picking(name: str, words: object) -> tuple[str, ...]:
    """Return words that pick jobs, such as `seed=3`: those of a text, as a shell splits it, or of a sequence."""
    given = split(words, name) or [words] if isinstance(words, str) else words
    if isinstance(given, (list, tuple)) and all(isinstance(each, str) for each in given):
        return tuple(given)
    raise InvalidInputError(name, words, JOB_WORDS)


class Leaderboard(Sequence[Standing]):
    """The configurations of a sweep by rank: a sequence of `Standing`, shown as a table in a notebook.

    Attributes:
        verdict: Which configuration to use, and how sure that is; `str(verdict)` is one sentence.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self.verdict: Verdict = board.verdict

    def __len__(self) -> int:
        return len(self._board.standings)

    @overload
    def __getitem__(self, index: int) -> Standing: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Standing]: ...
    def __getitem__(self, index: int | slice) -> Standing | Sequence[Standing]:
        return self._board.standings[index]

    def to_dict(self) -> dict[str, Any]:
        """Return what `leaderboard.json` has: `common`, `verdict`, and `rows`, each with its jobs."""
        return table.as_dict(self._board)

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame with a row for each configuration, and the columns of `leaderboard.csv`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingPackageError("to_pandas needs the package pandas: pip install pandas") from None
        further = {name: f"metrics.{name}" for name in table.metrics_of(self._board)}
        rows = [
            {**each.options, **each.figures, **{to: each.metrics.get(name) for name, to in further.items()}}
            for each in self
        ]
        columns = ["rank", *self._board.names.varying]
        return pd.DataFrame(rows, columns=[*columns, *(name for name in rows[0] if name not in columns)])

    def __repr__(self) -> str:
        shown = table.by_configuration(self._board, self._board.standings)
        widths = [max(map(len, column)) for column in zip(shown.headings, *shown.rows, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in (shown.headings, *shown.rows))
        return "\n".join((self.verdict.sentence, *lines)) + "\n"

    def _repr_html_(self) -> str:
        """Return the table for a notebook; every text is escaped."""
        shown = table.by_configuration(self._board, self._board.standings)
        cells = "".join(f"<th>{escape(heading)}</th>" for heading in shown.headings)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in shown.rows)
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in shown.notes)
        sentence = f"<p>{escape(self.verdict.sentence)}</p>"
        return f"{sentence}<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>{notes}"


class TrainedModel:
    """A job of a sweep that has a result.

    Attributes:
        job: The job: its `seed` and its `options`.
        row: Its row, as in `results.jsonl`.
        score: Its metric after the last epoch.
    """

    def __init__(self, snapshot: Snapshot, key: str) -> None:
        self._snapshot = snapshot
        self.job: Job = snapshot.jobs[key]
        row = snapshot.rows.get(key)
        if row is None or not row.accepted:
            raise SweepNotFoundError(f"The job {self.job.words(snapshot.axes)} of {snapshot.name} has no result")
        self.row: Row = row
        self.score: float = row.validation_score[-1]

    def artifact(self) -> bytes:
        """Return what the trainer made: weights, whose SHA-256 is in the row.

        If they were not kept, the job is trained again in this process, as by `orchestrator weights`, with its errors.
        """
        return restore(self._snapshot, self.job, load_settings().cache_dir)

    def network(self) -> DeepNeuralNetwork:
        """Return the fitted network of a job of the trainer `network`, as `fit` leaves it.

        If its weights were not kept, the job is trained again, as by `artifact`.

        Raises:
            InvalidInputError: another trainer trained the job.
            SeedsweepError: the command's errors.
        """
        if self.job.trainer != DEFAULT:
            allowed = f"a job of the trainer {DEFAULT}; artifact() returns what another one made"
            raise InvalidInputError("the job", Described(f"one of the trainer {self.job.trainer}"), allowed)
        from nn.network import DeepNeuralNetwork
        from nn.training import EpochRecord

        weights = read_weights(cast("NetworkOptions", self.job.options), self.artifact())
        printed = self.row.others.get("notebook_accuracy", [None] * len(self.row.epoch_seconds))
        values = zip(self.row.epoch_seconds, self.row.validation_score, printed, strict=True)
        history = [EpochRecord(epoch, *each) for epoch, each in enumerate(values, 1)]
        names = DeepNeuralNetwork().get_params(deep=False).keys()
        options = {name: value for name, value in self.job.options.model_dump().items() if name in names}
        return DeepNeuralNetwork.fitted(weights, history, random_state=self.job.seed, **options)

    def __repr__(self) -> str:
        return f"<TrainedModel {self.job.words(self._snapshot.axes)}: {self.job.metric.shown(self.score)}>"


class Sweep:
    """A sweep in its folder, with methods that work on it.

    It shows the folder as it was when it was opened, or a method last trained or verified jobs; `refresh` reads again.
    A method that does what a command does raises `SeedsweepError`, with the command's errors.

    Attributes:
        path: Its folder.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        if not isinstance(snapshot, Snapshot):
            raise InvalidInputError("Sweep()", Described(repr(snapshot)), "nothing: seedsweep.open returns a Sweep")
        self._folder = snapshot.folder
        self._snapshot = snapshot
        self.path: Path = self._folder.path

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self._folder.name

    @property
    def state(self) -> str:
        """Its state now: `running`, `finished`, `cancelled`, `interrupted`, `damaged`, or `quiet` on another host."""
        return summing.summary(self.path).state

    @property
    def note(self) -> str:
        """What somebody wrote about it, as `orchestrator note` does; to write it, assign one line."""
        return self._snapshot.note

    @note.setter
    def note(self, text: str) -> None:
        managing.annotate(self._folder, _text("note", text))
        self.refresh()

    @property
    def jobs(self) -> Sequence[Job]:
        """Its jobs, in its order: seed by seed."""
        return tuple(self._snapshot.jobs.values())

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of the jobs that have ended, in its order, as in `results.jsonl`."""
        return self._snapshot.ended

    @property
    def accounting(self) -> Accounting:
        """How many jobs ended in which way; `accounting.complete` says whether every job has a result."""
        return self._snapshot.accounting

    @property
    def verdict(self) -> Verdict:
        """Which configuration to use, and how sure that is; `str(verdict)` is one sentence."""
        return self._snapshot.leaderboard.verdict

    def refresh(self) -> Sweep:
        """Read the folder again, and return the sweep."""
        self._snapshot = Snapshot.read(self._folder)
        return self

    @contextlib.contextmanager
    def _refreshed(self) -> Iterator[None]:
        """Read the folder again after the block, even if that was interrupted."""
        try:
            yield
        finally:
            self.refresh()

    def leaderboard(
        self, metric: str | None = None, where: str | Sequence[str] = (), within: float | None = None
    ) -> Leaderboard:
        """Return the configurations by rank.

        Args:
            metric: What counts: a metric, which of its epochs (`last`, `best` or `mean-K`), or both: `loss:best`;
                None for the one that `sweep` was given, or the trainer's own, `last`.
            where: Words that choose configurations, such as `learning_rate=0.03`; a text is split as by a shell.
            within: The regret that suffices, in the metric's unit; None for that of the last race, if any.

        Raises:
            InvalidInputError: an argument is not allowed.
        """
        words, by = _picking("where", where), _metric(metric)
        tolerance = None if within is None else _number("within", within)
        return Leaderboard(self._snapshot.select(words, by, tolerance).leaderboard)

    def best(self) -> TrainedModel:
        """Return the best job of the leaderboard's first configuration.

        Raises:
            SweepNotFoundError: no job has a result.
        """
        return TrainedModel(self._snapshot, best_job(self._snapshot))

    def job(self, *words: str) -> TrainedModel:
        """Return the job that words such as `"seed=3", "learning_rate=0.01"` name.

        Raises:
            InvalidInputError: they name no job, or several.
            SweepNotFoundError: the job has no result.
        """
        return TrainedModel(self._snapshot, pick_one(self.name, self._snapshot.jobs, _picking("the job", words)))

    def logs(self, *words: str) -> dict[str, str]:
        """Return what the trainer printed, logged and raised in jobs, by their keys, as `orchestrator logs` shows it.

        Args:
            words: Pick the jobs; none for all. Those without a log are left out.

        Raises:
            InvalidInputError: a word is invalid or fits no job.
        """
        keys = pick(self.name, self._snapshot.jobs, _picking("the job", words))
        return {key: log for key in keys if (log := self._folder.log(key))}

    def compare(
        self, a: str | Sequence[str], b: str | Sequence[str], *, within: float = 0.0, metric: str | None = None
    ) -> Comparison:
        """Compare two configurations, each named by words such as `"learning_rate=0.03"`.

        Args:
            a: Words that name the one.
            b: Words that name the other.
            within: The largest difference that does not matter, in the metric's unit.
            metric: See `leaderboard`.

        Raises:
            InvalidInputError: words fit no configuration or several, or both fit the same.
        """
        words = _picking("a", a), _picking("b", b)
        swept, tolerance = self._snapshot.select(metric=_metric(metric)), _number("within", within)
        return comparing.compare(swept, swept, *words, tolerance=tolerance)

    def extend(
        self,
        *,
        seeds: int | str | Iterable[int] | None = None,
        reuse: bool = True,
        reuse_anyway: bool = False,
        broker: str | None = None,
        workers: int | None = None,
        progress: bool | None = None,
        **options: Any,
    ) -> Sweep:
        """Train further seeds, more epochs, or further values of options that vary, as `orchestrator extend` does.

        Seeds that `confirm` and `decide` added to some configurations get no more epochs.

        `seeds` are further ones: their number, for the next ones, or the seeds. `options` are further values by option.
        The other arguments, and the errors: see `sweep`.
        """
        manifest = self._folder.manifest()
        begun, given = manifest.grown, _words(options)
        words = vocabulary_of(begun.trained_by, begun.model)
        if seeds is not None:
            given["seeds"] = _seeds(seeds, max(manifest.seeds) + 1)
        values = words.parse(given, str, where="extend()")
        taken, any_code = _switch("reuse", reuse), _switch("reuse_anyway", reuse_anyway)
        display = _display(progress)
        plan = extending.plan_extension(self._folder, _place(broker, workers), values, words)
        with self._refreshed(), plan.begin() as session:
            sweeping.train(session, reuse=taken, any_code=any_code, display=display)
        return self

    def confirm(
        self,
        *,
        top: int | None = None,
        seeds: int | str | Iterable[int] = confirming.DEFAULT_SEEDS,
        reuse: bool = True,
        metric: str | None = None,
        broker: str | None = None,
        workers: int | None = None,
        progress: bool | None = None,
    ) -> confirming.ConfirmationResult:
        """Train the leaders under fresh seeds, as `orchestrator confirm` does.

        `top` is how many configurations, the leaderboard's first; None for 3. `seeds` is how many fresh seeds, or the
        seeds. `metric`: see `leaderboard`. The other arguments, and the errors: see `sweep`.
        """
        given = vocabulary().parse({"seeds": _seeds(seeds, 0)}, str)["seeds"]
        fresh = len(given) if _is_count(seeds) else given
        first = None if top is None else _integer("top", top, 1, MAX_JOBS)
        by, taken, display = _metric(metric), _switch("reuse", reuse), _display(progress)
        plan = confirming.plan_confirmation(self._folder, _place(broker, workers), top=first, seeds=fresh, metric=by)
        with self._refreshed(), plan.begin() as session:
            return confirming.confirmed(session, sweeping.train(session, reuse=taken, display=display), by)

    def decide(
        self,
        *,
        within: float,
        budget: int,
        metric: str | None = None,
        broker: str | None = None,
        workers: int | None = None,
        progress: bool | None = None,
    ) -> Verdict:
        """Add seeds until it is known which configuration to use, as `orchestrator decide` does.

        `within` is the tolerance, in the metric's unit: 0.001 is 0.1 points of accuracy. `budget` is the most jobs to
        add. `metric`: see `leaderboard`. The other arguments, and the errors: see `sweep`.
        """
        terms = Terms(_number("within", within), _integer("budget", budget, 1, MAX_JOBS), _metric(metric))
        display = _display(progress)
        plan = deciding.plan_decide(self._folder, terms, _place(broker, workers))
        with self._refreshed(), plan.begin() as session:
            return deciding.decide(session, terms, display=display).sweep.judgement.verdict

    def verify(
        self,
        *words: str,
        jobs: int | None = verifying.DEFAULT_JOBS,
        seed: int | None = None,
        broker: str | None = None,
        workers: int | None = None,
        progress: bool | None = None,
    ) -> verifying.Verification:
        """Train jobs again, and compare weights and metrics to the bit, as `orchestrator verify` does.

        `words` pick the jobs to choose from. `jobs` is how many, chosen at random; None for all. The same `seed`
        chooses the same jobs. The other arguments, and the errors: see `sweep`.
        """
        number = None if jobs is None else _integer("jobs", jobs, 1, MAX_JOBS)
        chosen = None if seed is None else _integer("seed", seed, 0, MAX_SEED)
        picked, place = _picking("the job", words), _place(broker, workers)
        plan = verifying.plan_verification(self._folder, place, words=picked, jobs=number, seed=chosen)
        self.refresh()
        console = _console(progress)
        if console is None:
            return verifying.verify(plan)
        return verifying.verify(plan, checked=lambda check: say(console, describe(check, plan.sweep.names)))

    def test(self, *words: str) -> testing.HeldOut:
        """Evaluate a configuration on the samples that were held out, once, as `orchestrator test` does."""
        picked, settings = _picking("the configuration", words), load_settings()
        return testing.read_test_split(self._folder, picked, cache_dir=settings.cache_dir)

    def claim(self, path: str | os.PathLike[str] | None = None, *, sign: str | os.PathLike[str] | None = None) -> Path:
        """Write the claim, a small file that anyone can check, and return its path, as `orchestrator claim` does.

        Args:
            path: The file; None for `claim.json` in the sweep's folder.
            sign: A key of SSH, which signs it.

        Raises:
            ClaimError: not all jobs have ended, or none has a result.
            SeedsweepError: the command's other errors.
        """
        to, key = (None if each is None else _path(name, each) for name, each in (("path", path), ("sign", sign)))
        return claiming.write_claim(self._folder, to, key).path

    def report(self, path: str | os.PathLike[str] | None = None, *, metric: str | None = None) -> Path:
        """Write the report, one HTML file, and return its path.

        `path` is the file; None for the folder's `report.html`, which shows it as it is. `metric`: see `leaderboard`.

        Raises:
            MissingPackageError: the packages of the extra `report` are not installed.
            OutputError: the file cannot be written.
        """
        to = None if path is None else _path("path", path)
        is_own = to is None or os.path.realpath(to) == os.path.realpath(self.path / REPORT)
        swept = (Snapshot.read(self._folder) if is_own else self._snapshot).select(metric=_metric(metric))
        return reporting.report(swept, to, cache_dir=load_settings().cache_dir).path

    def export(self, to: str, path: str | os.PathLike[str] | None = None, *, replace: bool = False) -> exporting.Export:
        """Write the results in the format of another tool.

        Args:
            to: The format: `csv`, `mlflow`, `tensorboard` or `ro-crate`, which has the folder's files as they are now.
            path: The file or folder to write; None for one in the working folder, named after the sweep.
            replace: Whether to replace files that are there, and links to files or to nothing, but not what those lead
                to. Nothing else is replaced, such as a folder or a device, and nothing by a folder.
        """
        file, over = None if path is None else _path("path", path), _switch("replace", replace)
        return exporting.export(self._snapshot, _text("to", to), file=file, replace=over)

    def plot(self, kind: str = "intervals", *, metric: str | None = None) -> Any:
        """Return a chart of the report as an Altair chart.

        `kind` is its name, such as `curves` (see `orchestrator report --help`). `metric`: see `leaderboard`.

        Raises:
            InvalidInputError: the sweep has no such chart.
            MissingPackageError: the packages of the extra `report` are not installed.
        """
        from orchestrator.report.charts import catalogue

        MissingPackageError.check("A chart")
        import altair as alt

        swept, name = self._snapshot.select(metric=_metric(metric)), _text("kind", kind)
        chart = catalogue.check(swept, name, "kind").draw(swept, name)
        return alt.Chart.from_dict(chart.specification)

    def cancel(self, *, broker: str | None = None) -> None:
        """End its queued jobs at once, and its running ones after their epoch, on a cluster or in another process."""
        watching.cancel(self._folder, _place(broker))

    def undo(self, *, broker: str | None = None) -> Sweep:
        """Withdraw what `extend`, `confirm` or `decide` last added, as `orchestrator undo` does."""
        with self._refreshed():
            extending.undo(self._folder, _place(broker))
        return self

    def rename(self, name: str) -> Sweep:
        """Give it another name, and return it."""
        self._folder = managing.rename(self._folder, _text("name", name))
        self.path = self._folder.path
        return self.refresh()

    def remove(self) -> None:
        """Remove its folder with all results; what was read stays in memory."""
        managing.remove(self._folder)

    def __repr__(self) -> str:
        done, jobs = self.accounting.done, len(self._snapshot.jobs)
        return f"<Sweep {self.name}: {done} of {jobs} jobs are done; {self.verdict.sentence}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(self.name)}</b>: {escape(str(self.accounting))}</p>{self.leaderboard()._repr_html_()}"


def sweep(
    *,
    seeds: int | str | Iterable[int] | None = None,
    trainer: str | None = None,
    name: str | None = None,
    output: str | os.PathLike[str] = OUTPUT,
    broker: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    reuse: bool = True,
    reuse_anyway: bool = False,
    reuse_from: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    fail_fast: int | None = None,
    time_limit: int | None = None,
    keep_weights: str | None = None,
    metric: str | None = None,
    spec: str | os.PathLike[str] | None = None,
    skip_invalid: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Sweep:
    """Train a network, or another trainer's model, for every seed and combination of options; return the sweep.

    As by the command, jobs are trained on an embedded cluster, or on the one that `broker` or CELERY_BROKER_URL names.
    Jobs that failed are rows with their reason (`Sweep.accounting`), not errors.

    Args:
        seeds: A count (10 are the seeds 0 to 9), the seeds, or text such as `0-4,7`; None for 0 to 4.
        trainer: The trainer's name; None for `network`.
        name: The sweep's name; None for one by the time.
        output: The folder that holds the sweeps, one folder for each.
        broker: A Redis server with workers.
        workers: Processes of an embedded cluster; None for one per core.
        resume: Whether to go on with the sweep called `name`, or with the last one.
        reuse: Whether to take results of other sweeps.
        reuse_anyway: Whether to take also those that other code of the trainer made than is installed here.
        reuse_from: Folders of sweeps whose results are taken, too, even if they are elsewhere or another user's.
        fail_fast: The number of failed jobs after which the others are cancelled; None to train every job.
        time_limit: Seconds after which a job of an embedded cluster fails; None for SEEDSWEEP_TIME_LIMIT.
        keep_weights: Which weights the folder keeps from now on: `all`, `none`, or `best:3` for those of the best 3
            jobs of each configuration. None changes nothing; a new sweep of more than 1,000 jobs then keeps `best:3`.
        metric: What counts in the sweep from now on, as for `Sweep.leaderboard`; None changes nothing.
        spec: A specification file, or a sweep's `sweep.json`, which the arguments override.
        skip_invalid: Whether to leave out combinations of options that cannot be trained together.
        progress: Whether to show the progress; None to show it only in a terminal or a notebook.
        options: By name, a value or a list of values to vary: `learning_rate=[0.01, 0.03]`, `epochs=5`,
            `hidden_layer_sizes=[(128, 64), (256, 64)]`; also `data`, `sampler`, `samples` and what belongs to them.

    Raises:
        InvalidInputError: an argument is not allowed; nothing was begun.
        SeedsweepError: the command's other errors; rows so far are kept.
    """
    place = _place(broker, workers, time_limit)
    plan = _plan(seeds, trainer, name, output, place, spec, options, resume=resume, skip_invalid=skip_invalid)
    others = reuse_from if isinstance(reuse_from, (list, tuple)) else [reuse_from]
    given: dict[str, Any] = {
        "reuse": _switch("reuse", reuse),
        "any_code": _switch("reuse_anyway", reuse_anyway),
        "reuse_from": [open_sweep(str(_path("reuse_from", each)), Path()) for each in others],
        "fail_fast": None if fail_fast is None else _integer("fail_fast", fail_fast, 1, MAX_JOBS),
        "keep_weights": _kept(keep_weights),
        "display": _display(progress),
    }
    with plan.judged_by(_metric(metric)).begin() as session:
        return Sweep(sweeping.train(session, **given))


def submit(
    *,
    seeds: int | str | Iterable[int] | None = None,
    trainer: str | None = None,
    name: str | None = None,
    output: str | os.PathLike[str] = OUTPUT,
    broker: str | None = None,
    reuse: bool = True,
    keep_weights: str | None = None,
    metric: str | None = None,
    spec: str | os.PathLike[str] | None = None,
    skip_invalid: bool = False,
    **options: Any,
) -> Sweep:
    """Queue the jobs of a new sweep on a cluster, and return at once; `watch` collects them. Arguments: see `sweep`.

    Raises:
        InvalidInputError: no cluster is named, or an argument is not allowed.
        SeedsweepError: the command's other errors.
    """
    place = _place(broker)
    require_broker(place.settings)
    plan = _plan(seeds, trainer, name, output, place, spec, options, resume=False, skip_invalid=skip_invalid)
    reused, kept = _switch("reuse", reuse), _kept(keep_weights)
    with plan.judged_by(_metric(metric)).begin() as session:
        return Sweep(sweeping.submit(session, reuse=reused, keep_weights=kept))


def watch(name: str, *, output: str | os.PathLike[str] = OUTPUT, broker: str | None = None) -> Iterator[Row]:
    """Collect the results of a sweep on a cluster or in another process, and yield each row as its job ends.

    It collects while it is iterated. After an early stop, the other jobs stay on the cluster, and the next `watch`
    collects them. Rows that came meanwhile are in the folder, and not yielded again: `open(name).rows` has all.

    Args:
        name: The sweep.
        output: The folder that holds the sweeps.
        broker: The cluster; None for that of CELERY_BROKER_URL.

    Raises:
        SeedsweepError: the command's errors.
    """
    place, advice = _place(broker), "if a cluster trains it, name that by broker= or CELERY_BROKER_URL"
    named = place.settings.broker_url is not None
    folder = open_sweep(_text("name", name), _path("output", output), elsewhere=named, advice=advice)
    return watching.plan_watch(folder, place).rows()


def open(name: str | os.PathLike[str] = LAST, *, output: str | os.PathLike[str] = OUTPUT) -> Sweep:  # noqa: A001
    """Return an existing sweep.

    Args:
        name: The path of its folder, or its name; by default, of the one that changed last.
        output: The folder that holds the sweeps.

    Raises:
        SweepNotFoundError: there is no such sweep.
        SweepUnreadableError: its folder cannot be read.
    """
    if not isinstance(name, os.PathLike):
        _text("name", name)
    folder = open_sweep(str(name), _path("output", output))
    # A notebook may change its working folder.
    return Sweep(Snapshot.read(SweepFolder(folder.path.parent.absolute(), folder.name)))


def sweeps(output: str | os.PathLike[str] = OUTPUT) -> list[Sweep]:
    """Return the readable sweeps of a folder, the last changed first.

    Raises:
        SweepUnreadableError: the folder cannot be read.
    """
    found = Sweeps(_path("output", output))
    opened = []
    for each in found.names():
        with contextlib.suppress(SeedsweepError):
            opened.append(Sweep(Snapshot.read(found.folder(each))))
    return opened


def summaries(output: str | os.PathLike[str] = OUTPUT) -> list[summing.Summary]:
    """Return the state of each sweep of a folder, as `orchestrator list` shows it. Order and errors: see `sweeps`."""
    return summing.summaries(_path("output", output))


def verify_claim(
    path: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    rebuild: bool = False,
    jobs: int | None = None,
    seed: int | None = None,
    signers: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    tell: Callable[[str], None] = ignore,
) -> claiming.ClaimResult:
    """Check a claim, even a stranger's. Jobs are trained again, unless the claim is refuted first.

    Args:
        path: The claim's file, or the sweep's folder with `claim.json`.
        folder: The sweep's folder, or a ZIP file of it; None for the folder of the claim's file.
        rebuild: Whether to do without the folder.
        jobs: How many jobs to train again, chosen at random; None for 5, or for all of a rebuilt sweep.
        seed: The same seed chooses the same jobs; None for a random one.
        signers: The keys that may have signed it: a file as `allowed_signers` of ssh-keygen. None to check no
            signature.
        data: The data set; None for the claim's if that is one of the trainer's own names, else that of the settings.
        tell: Receives sentences for the user, such as which job was trained again.

    Raises:
        ClaimError: the file is not a claim, or its signature is by an unknown key, or a job cannot be trained here.
        InvalidInputError: an argument is not allowed.
        SeedsweepError: the folder, the trainer or the data set is missing or cannot be read; or training cannot go on.
    """
    return claiming.verify_claim(
        _path("path", path),
        place_for(None, tell=tell),
        folder=None if folder is None else _path("folder", folder),
        signers=None if signers is None else _path("signers", signers),
        rebuild=_switch("rebuild", rebuild),
        jobs=None if jobs is None else _integer("jobs", jobs, 1, MAX_JOBS),
        seed=None if seed is None else _integer("seed", seed, 0, MAX_SEED),
        data=_data(data),
    )


@contextlib.contextmanager
def cluster(
    workers: int | None = None, *, trainer: str = DEFAULT, data: str | os.PathLike[str] | None = None
) -> Iterator[str]:
    """Start an embedded cluster for several sweeps; it ends with the `with` block.

    Args:
        workers: The number of its processes; None for one per core.
        trainer: The trainer of its workers; they take no jobs of another one.
        data: Their data set; None for that of SEEDSWEEP_DATA if it is for this trainer, else for the trainer's own.

    Yields:
        Its address, for the argument `broker`.

    Raises:
        InvalidInputError: the number is not allowed.
        ClusterError: it does not start.
    """
    known, settings, given = registry.trainer(_text("trainer", trainer), "trainer"), load_settings(), _data(data)
    own = settings.data if settings.trainer == trainer else None
    source = registry.source(known, (own or known.data) if given is None else given)
    place = Place(settings, workers=None if workers is None else _integer("workers", workers, 1, MAX_WORKERS))
    with place.open(trainer, source, jobs=MAX_WORKERS, tell=ignore) as embedded:
        while not embedded.roster.online():
            embedded.check()
            time.sleep(0.1)
        yield embedded.app.broker_address


def _plan(
    seeds: int | str | Iterable[int] | None,
    trainer: str | None,
    name: str | None,
    output: str | os.PathLike[str],
    place: Place,
    spec: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
    *,
    resume: bool,
    skip_invalid: bool,
) -> SweepPlan:
    leaving = _switch("skip_invalid", skip_invalid)
    kept = _path("output", output)
    given_name = None if name is None else _text("name", name)
    given = _words(options)
    if trainer is not None:
        given["trainer"] = _text("trainer", trainer)
    if seeds is not None:
        given["seeds"] = _seeds(seeds, 0)
    file = SpecificationFile(None if spec is None else _path("spec", spec))
    typed = {**file.words, **given}
    words = vocabulary(str(typed.get("trainer", DEFAULT)), typed)
    values = file.values(words) | words.parse(given, str, where="the sweep")
    again = _switch("resume", resume)
    return sweeping.plan_words(values, words, given_name, kept, place, resume=again, skip_invalid=leaving)


def _words(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as in a specification file: `Listed` values, a list for a value of several numbers."""
    words = {}
    for name, each in options.items():
        given = each.tolist() if isinstance(each, np.ndarray) else each
        try:
            words[name] = Listed(map(_plain, given)) if isinstance(given, (list, range)) else _plain(given)
        except RecursionError:
            raise InvalidInputError(name, Described("nested too deeply"), "a value, or a list of values") from None
    return words


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return list(map(_plain, value)) if isinstance(value, (tuple, list)) else value


def _seeds(seeds: int | str | Iterable[int], first: int) -> Any:
    """Return seeds as a specification file has them; a number is a count from the first."""
    if isinstance(seeds, str):
        return seeds
    if _is_count(seeds):
        count = _integer("seeds", seeds, 1, MAX_JOBS)
        return f"{first}-{first + count - 1}"
    if isinstance(seeds, Iterable) and not isinstance(seeds, (bytes, Mapping)):
        # One more than allowed is refused; there may be no last one.
        return [_plain(each) for each in itertools.islice(seeds, MAX_JOBS + 1)]
    raise InvalidInputError("seeds", seeds, "a number of seeds, a list of seeds, or text such as 0-4,7")


def _is_count(seeds: object) -> bool:
    return isinstance(seeds, (int, np.integer)) and not isinstance(seeds, bool)


def _place(broker: str | None, workers: int | None = None, time_limit: int | None = None) -> Place:
    limit = None if time_limit is None else _integer("time_limit", time_limit, 1, MAX_TIME_LIMIT)
    number = None if workers is None else _integer("workers", workers, 1, MAX_WORKERS)
    return place_for(None if broker is None else _text("broker", broker), number, limit)


def _console(progress: bool | None) -> Console | None:
    console = Console(stderr=True, highlight=False)
    if progress is None:
        return console if console.is_terminal or console.is_jupyter else None
    return console if _switch("progress", progress) else None


def _display(progress: bool | None) -> Display:
    console = _console(progress)
    return silent if console is None else partial(progress_for, console)
