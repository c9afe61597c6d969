"""No line of a sweep grows faster than its jobs, and no job takes many commands: counted, not measured in seconds."""

import io
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from rich.console import Console

from nn.files import digest
from nn.weights import initial_weights, to_safetensors
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.progress import progress_for
from orchestrator.cluster.connect import Place
from orchestrator.commands.sweep import plan_resumption, plan_sweep, train
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.cluster import Cluster, make_job
from tests.support.paths import ROOT
from tests.support.sweep_folders import result
from tests.support.sweeps import sweep_of

SOURCES = tuple(str(ROOT / room) for room in ("orchestrator", "worker", "nn"))
RATES = (0.01, 0.02, 0.03, 0.04, 0.05)
#: By how much ten times as many jobs may multiply the executions of a line: by ten, and a little for their order.
MOST = 15
#: How many of some commands a job takes, those within scripts included.
COMMANDS = {"eval_ro": 1, "evalsha": 3, "set": 5}
BLOB = to_safetensors(initial_weights((784, 8, 4, 10), np.random.RandomState(0), "float32"))


def lines_of_a_sweep(cluster: Cluster, output: Path, jobs: int) -> Counter[tuple[str, int]]:
    """Collect, resume and read a sweep whose results are on the cluster; return how often each line was executed."""
    seeds = tuple(range(jobs // len(RATES)))
    made = sweep_of(seeds=seeds, learning_rates=RATES, epochs=1, limit=100, hidden=((8, 4),))
    folder = SweepFolder(output, f"n{jobs}")
    plan = plan_sweep(folder, made, Place(cluster.settings))
    for key, job in plan.jobs.items():
        # The first seeds are the best, so that the weights of the others are not asked for.
        score = 0.9 - job.seed / 10_000
        cluster.app.backend.store_result(key, result(job, score, blob=BLOB), "SUCCESS")
        if job.seed < 3:
            cluster.store().put_weights(BLOB, key, digest(BLOB), key, "w@host")
    lines: Counter[tuple[str, int]] = Counter()

    def entered(frame: FrameType, _event: str, _argument: object) -> Callable[..., object] | None:
        return executed if frame.f_code.co_filename.startswith(SOURCES) else None

    def executed(frame: FrameType, event: str, _argument: object) -> Callable[..., object]:
        if event == "line":
            lines[frame.f_code.co_filename, frame.f_lineno] += 1
        return executed

    sys.settrace(entered)
    try:
        with plan.begin() as session:
            ended = train(session, keep_weights="best:3", display=partial(progress_for, Console(file=io.StringIO())))
        with plan_resumption(folder, Place(cluster.settings)).begin() as session:
            train(session)
        assert len(Sweep.read(folder).leaderboard.standings) == len(RATES)
    finally:
        sys.settrace(None)
    assert ended.accounting.accepted == jobs
    return lines


@pytest.mark.slow(reason="collects 2,220 results")
def test_no_line_is_executed_more_than_in_proportion_to_the_jobs(shared_cluster: Cluster, tmp_path: Path) -> None:
    # The first one is what the others estimate their time by.
    _, few, many = (lines_of_a_sweep(shared_cluster, tmp_path, jobs) for jobs in (20, 200, 2000))
    # Few executions depend on how long Redis takes.
    grown = {name: (few[name], count) for name, count in many.items() if count > 1000 and count > MOST * few[name]}
    assert grown == {}


def test_a_job_takes_few_commands_of_redis(cluster: Cluster) -> None:
    # Given a worker that has trained a job already, and seldom looks for dead neighbours
    cluster = cluster.with_settings(lease_seconds=600.0)
    cluster.start_worker()
    cluster.result(cluster.submit(make_job(seed=0)).id)
    client, jobs = cluster.server.client(), range(1, 21)
    # When it trains twenty more
    client.config_resetstat()
    for run in [cluster.submit(make_job(seed=seed)).id for seed in jobs]:
        cluster.result(run)
    # Then each reads only its earlier attempts by a script; the rest is for heartbeats
    stats = client.info("commandstats")
    a_job = {name: stats[f"cmdstat_{name}"]["calls"] / len(jobs) for name in COMMANDS}
    assert a_job == {name: pytest.approx(calls, abs=0.9) for name, calls in COMMANDS.items()}
