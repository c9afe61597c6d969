"""Each command as Python code calls it: values in, an object out, nothing printed, in any thread."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.commands.sweep import plan_resumption, plan_sweep, sweep
from orchestrator.commands.verify import plan_verification, verify
from orchestrator.commands.watch import WatchPlan, cancel, follow, plan_watch
from orchestrator.errors import SweepExistsError, SweepNotFoundError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running.verify import Check
from tests.support import launcher
from tests.support.cluster import Cluster
from tests.support.sweeps import sweep_of
from worker.job import Job
from worker.records.report import Report
from worker.settings import Settings

SPECIFICATION = sweep_of(seeds=(0, 1), learning_rates=(0.01, 0.03), epochs=2, limit=500)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Calls a function from a thread, and returns its result or raises its error.
InThread = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def in_thread(capfd: pytest.CaptureFixture[str]) -> InThread:
    """Call a function from a thread, and check that it prints nothing and leaves the signal handlers alone."""

    def call(command: Callable[[], Any]) -> Any:
        results: list[Any] = []
        errors: list[BaseException] = []
        handlers = [signal.getsignal(number) for number in SIGNALS]

        def run() -> None:
            try:
                results.append(command())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            assert [signal.getsignal(number) for number in SIGNALS] == handlers
            thread.join(0.05)
        assert capfd.readouterr() == ("", "")
        if errors:
            raise errors[0]
        return results[0]

    return call


class Recorder:
    """A display that records what it is told."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int]] = []
        self.messages: list[str] = []
        self.rows: list[Row] = []

    def __call__(
        self, jobs: Mapping[str, Job], rows: Mapping[str, Row], _axes: Collection[str]
    ) -> AbstractContextManager[Recorder]:
        self.opened.append((len(jobs), len(rows)))
        return nullcontext(self)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """Not counted: a short job may end between two polls."""

    def finished(self, row: Row) -> None:
        self.rows.append(row)


def test_sweep_resume_and_verify_on_an_embedded_cluster(
    tmp_path: Path, cache_dir: Path, in_thread: InThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", launcher.Popen)
    settings = Settings(cache_dir=cache_dir)
    folder = SweepFolder(tmp_path, "a")
    # A plan begins nothing.
    plan = plan_sweep(folder, SPECIFICATION, settings, workers=2)
    assert not folder.exists()
    assert (plan.place.cluster, len(plan.jobs), plan.resuming) == (None, 4, False)
    # When a thread carries it out, then its result says what is in the folder,
    recorder = Recorder()
    result = in_thread(lambda: sweep(plan, display=recorder))
    assert (result.name, result.folder.path, result.accounting.complete) == ("a", tmp_path / "a", True)
    assert [each.key for each in result.ended] == list(plan.jobs) == list(folder.rows())
    assert (result.accounting.accepted, [standing.rank for standing in result.leaderboard.standings]) == (4, [1, 2])
    # and the display was told of each job, once.
    assert recorder.opened == [(4, 0)]
    assert recorder.messages[:2] == ["Sweep a: 4 jobs", "Training 4 jobs on this machine, 2 at a time"]
    assert {row.job for row in recorder.rows} == set(plan.jobs)
    # A resumed sweep has nothing left to train, and the same result.
    again = in_thread(lambda: sweep(plan_resumption(folder, settings)))
    assert (again.leaderboard.standings, again.accounting) == (result.leaderboard.standings, result.accounting)
    assert len(folder.manifest().resumed) == 1
    # A verification says which jobs it compared.
    checks: list[Check] = []
    chosen = plan_verification(folder, settings, jobs=2, seed=3, workers=2)
    verified = in_thread(lambda: verify(chosen, checked=checks.append))
    assert (verified.name, verified.seed, verified.candidates, verified.different) == ("a", 3, 4, [])
    assert [check.job for check in verified.checks] == [job.key for job in chosen.jobs]
    assert sorted(check.job for check in checks) == sorted(check.job for check in verified.checks)


def test_a_cluster_is_built_once_and_shared_by_plan_and_session(tmp_path: Path, cluster: Cluster) -> None:
    plan = plan_sweep(SweepFolder(tmp_path, "a"), SPECIFICATION, cluster.settings)
    assert plan.place.cluster is not None
    # A session reads what the folder has.
    plan.folder.create(plan.manifest)
    recorder = Recorder()
    with plan.place.open("network", "bundled", jobs=4, interruption=Interruption(), tell=recorder.message) as opened:
        assert opened.app is plan.place.cluster.app
        # Its messages go to the display that is open now.
        opened.results.states([])


def _watched(plan: WatchPlan) -> Sweep:
    with plan.begin() as session:
        return follow(session)


def test_watch_and_cancel_on_a_cluster(tmp_path: Path, cluster: Cluster, in_thread: InThread) -> None:
    # Given a sweep on a cluster that has trained all its jobs
    cluster.start_worker()
    settings = cluster.settings
    trained = in_thread(lambda: sweep(plan_sweep(SweepFolder(tmp_path / "here", "a"), SPECIFICATION, settings)))
    # When another machine watches it, then it has the same leaderboard,
    watched = in_thread(lambda: _watched(plan_watch(SweepFolder(tmp_path / "there", "a"), settings)))
    assert watched.folder.path == tmp_path / "there" / "a"
    assert watched.leaderboard.standings == trained.leaderboard.standings
    # and there is nothing left to cancel.
    done = in_thread(lambda: cancel(SweepFolder(tmp_path / "there", "a"), settings))
    assert (done.withdrawn, done.ending, done.wanted) == (set(), set(), {})
    assert done.ended == set(trained.rows)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"rule": "notebook", "loss": "sum_of_squares"},
            "^loss is sum_of_squares; allowed: cross_entropy together with",
        ),
        ({"limit": 59_500}, "^limit is 59500; allowed: less than 59500"),
        (
            {"limit": None, "test_size": 59_499},
            "^test_size is 59499; allowed: at most 59498, 2 less than the 59500 training samples in the data set",
        ),
    ],
)
def test_an_option_without_effect_is_refused_in_a_new_sweep_and_kept_in_an_earlier_one(
    tmp_path: Path, cache_dir: Path, in_thread: InThread, options: dict[str, Any], sentence: str
) -> None:
    settings = Settings(cache_dir=cache_dir)
    folder = SweepFolder(tmp_path / "runs", "a")
    earlier = SPECIFICATION.model_copy(update={"options": SPECIFICATION.options | options})

    with pytest.raises(InvalidInputError, match=sentence):
        in_thread(lambda: plan_sweep(folder, earlier, settings))
    assert not (tmp_path / "runs").exists()

    jobs = earlier.jobs_by_key(MNIST_DIGEST)
    manifest = plan_sweep(folder, SPECIFICATION, settings).manifest
    folder.create(manifest.model_copy(update={"specification": earlier, "jobs": list(jobs)}))
    assert in_thread(lambda: plan_resumption(folder, settings)).jobs == jobs


def test_bad_values_are_errors_that_name_the_parameter(tmp_path: Path, cache_dir: Path, in_thread: InThread) -> None:
    settings = Settings(cache_dir=cache_dir)
    folder = SweepFolder(tmp_path / "runs", "a")
    too_many = SPECIFICATION.model_copy(update={"options": SPECIFICATION.options | {"limit": 59_501}})
    with pytest.raises(InvalidInputError, match=r"^limit is 59501; allowed: less than 59500"):
        in_thread(lambda: plan_sweep(folder, too_many, settings))
    with pytest.raises(InvalidInputError, match=r"^broker is missing"):
        in_thread(lambda: plan_watch(folder, settings))
    with pytest.raises(InvalidInputError, match=r"^broker is missing"):
        in_thread(lambda: cancel(folder, settings))
    for plan in (plan_resumption, plan_verification):
        with pytest.raises(SweepNotFoundError, match="There is no sweep named a"):
            in_thread(lambda plan=plan: plan(folder, settings))  # type: ignore[misc]
    assert not (tmp_path / "runs").exists()
    folder.create(plan_sweep(folder, SPECIFICATION, settings).manifest)
    with pytest.raises(SweepExistsError):
        in_thread(lambda: plan_sweep(folder, SPECIFICATION, settings))
