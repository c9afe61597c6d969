"""One sweep as a program for each system, as its documentation says: what `benchmarks/peers.py` runs and kills.

A point is a seed and a learning rate. Every system trains it by the same function, which logs when it begins and ends,
and stores its score durably. Each program goes on with what is stored, so the same command again finishes a sweep that
was interrupted.
"""

import functools
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from nn.options.network import NetworkOptions
from seedsweep import Metric, Trained, Trainer
from worker.trainers.network import NetworkTrainer

#: The environment variable with the file to which each training appends its begin and end.
LOG = "PEERS_LOG"
#: How many jobs run at a time.
PROCESSES = 2


class Point(NamedTuple):
    """A job: what it is trained with."""

    seed: int
    rate: float


class Result(NamedTuple):
    """A job's validation accuracy."""

    seed: int
    rate: float
    score: float


Job = Callable[[Point], Result]


def grid(jobs: int, rates: int) -> dict[str, list[Any]]:
    """Return the seeds and learning rates of so many jobs, which is a multiple of `rates`."""
    return {"seed": list(range(jobs // rates)), "rate": [(1 + number) / 100 for number in range(rates)]}


def points(axes: dict[str, list[Any]]) -> list[Point]:
    """Return all points of a grid."""
    return [Point(seed, rate) for seed in axes["seed"] for rate in axes["rate"]]


@contextmanager
def logged(seed: int, rate: float) -> Iterator[None]:
    """Log the begin and the end of a training with its process, the time, and the CPU seconds between them."""

    def append(event: str) -> None:
        record = {"event": event, "seed": seed, "rate": rate, "pid": os.getpid(), "at": time.monotonic()}
        line = json.dumps(record | {"cpu": time.thread_time() - started}) + "\n"
        descriptor = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())
        os.close(descriptor)

    started = time.thread_time()
    append("begin")
    yield
    append("end")


class Network(NetworkTrainer):
    """The network's trainer, logged."""

    name = "peers-network"

    def train(self, options: NetworkOptions, seed: int, data: Any, **others: Any) -> Trained:
        """Train and log."""
        with logged(seed, options.learning_rate):
            return super().train(options, seed, data, **others)


class NothingOptions(BaseModel):
    """A learning rate that has no effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    learning_rate: float = 0.01
    epochs: int = 1


class Nothing(Trainer[NothingOptions, Any]):
    """A trainer that trains nothing, logged."""

    name, version, Options, metric = "peers-nothing", 1, NothingOptions, Metric(name="score")
    datasets, data = ("none",), "none"

    def load(self, source: str, cache_dir: Path) -> Any:  # noqa: ARG002
        """Return no data."""
        return SimpleNamespace(digest="0" * 64)

    def train(self, options: NothingOptions, seed: int, data: Any, *, on_epoch: Any, **_others: Any) -> Trained:  # noqa: ARG002
        """Report a score at once."""
        with logged(seed, options.learning_rate):
            on_epoch(nothing(Point(seed, options.learning_rate)))
        return Trained(artifact=b"nothing")

    def max_bytes(self, options: NothingOptions, digest: str) -> int:  # noqa: ARG002
        """Return the length of every artifact."""
        return 7

    def check_artifact(self, options: NothingOptions, digest: str, artifact: bytes) -> None:
        """Accept every artifact."""


def nothing(point: Point) -> float:
    """Return the score of a point that trains nothing."""
    return point.seed * point.rate % 1


@functools.cache
def _data() -> Any:
    """Return MNIST, read once a process, with the machine code of the kernel loaded."""
    trainer = NetworkTrainer()
    data = trainer.load("bundled", Path(os.environ.get("TMPDIR", "/tmp")))  # noqa: S108
    trainer.prepare(data)
    return data


def train_network(point: Point) -> Result:
    """Train the network for one epoch."""
    data, scores = _data(), []
    options = NetworkOptions(learning_rate=point.rate, epochs=1)
    Network().train(options, point.seed, data, on_epoch=lambda score, *_: scores.append(score))
    return Result(*point, scores[-1])


def train_nothing(point: Point) -> Result:
    """Train nothing."""
    with logged(*point):
        return Result(*point, nothing(point))


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of JSON lines, without a torn last line; none if there is no such file."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _lines(folder: Path) -> list[Result]:
    return [Result(**each) for each in whole_lines(folder / "results.jsonl")]


def _left(axes: dict[str, list[Any]], folder: Path) -> list[Point]:
    done = {Point(result.seed, result.rate) for result in _lines(folder)}
    return [point for point in points(axes) if point not in done]


def _keep(results: Iterable[Result], folder: Path) -> None:
    """Append each result as a line that survives a power cut."""
    with (folder / "results.jsonl").open("a") as file:
        for result in results:
            file.write(json.dumps(result._asdict()) + "\n")
            file.flush()
            os.fsync(file.fileno())


def with_pool(axes: dict[str, list[Any]], job: Job, folder: Path) -> None:
    """Run a pool of the standard library."""
    with multiprocessing.Pool(PROCESSES) as pool:
        _keep(pool.imap_unordered(job, _left(axes, folder)), folder)


def with_joblib(axes: dict[str, list[Any]], job: Job, folder: Path) -> None:
    """Run joblib's processes (loky)."""
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=PROCESSES, return_as="generator_unordered")
    _keep(parallel(delayed(job)(point) for point in _left(axes, folder)), folder)


def with_dask(axes: dict[str, list[Any]], job: Job, folder: Path) -> None:
    """Run Dask's scheduler and processes on this machine."""
    from distributed import Client, LocalCluster, as_completed

    with (
        LocalCluster(
            n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None, local_directory=str(folder / "dask")
        ) as cluster,
        Client(cluster) as client,
    ):
        futures = client.map(job, _left(axes, folder))
        _keep((result for _, result in as_completed(futures, with_results=True)), folder)


def _storage(kind: str, folder: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if kind == "sqlite":
        return RDBStorage(f"sqlite:///{folder}/study.db")
    return JournalStorage(JournalFileBackend(str(folder / "journal.log")))


def _optimize(kind: str, axes: dict[str, list[Any]], job: Job, folder: Path) -> None:
    """Train the points of the grid that the study lacks, beside other processes that do the same."""
    import optuna

    def objective(trial: optuna.Trial) -> float:
        return job(Point(*(trial.suggest_categorical(name, values) for name, values in axes.items()))).score

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(
        study_name="peers", storage=_storage(kind, folder), sampler=optuna.samplers.GridSampler(axes)
    )
    study.optimize(objective)


def with_optuna(kind: str, axes: dict[str, list[Any]], job: Job, folder: Path) -> None:
    """Run Optuna's grid sampler in several processes on one storage."""
    from optuna import create_study

    create_study(study_name="peers", storage=_storage(kind, folder), direction="maximize", load_if_exists=True)
    processes = [multiprocessing.Process(target=_optimize, args=(kind, axes, job, folder)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))


def with_ray(axes: dict[str, list[Any]], job: Job, folder: Path) -> None:
    """Run Ray Tune, which repeats a failed trial up to three times."""
    import ray
    from ray import tune

    def trainable(config: dict[str, Any]) -> dict[str, float]:
        return {"score": job(Point(config["seed"], config["rate"])).score}

    ray.init(num_cpus=PROCESSES, include_dashboard=False)
    if tune.Tuner.can_restore(str(folder / "peers")):
        tuner = tune.Tuner.restore(str(folder / "peers"), trainable, restart_errored=True)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space={name: tune.grid_search(values) for name, values in axes.items()},
            tune_config=tune.TuneConfig(metric="score", mode="max", reuse_actors=True),
            run_config=tune.RunConfig(
                name="peers",
                storage_path=str(folder),
                failure_config=tune.FailureConfig(max_failures=3),
                verbose=0,
            ),
        )
    sys.exit(tuner.fit().num_errors > 0)


def stored(system: str, folder: Path) -> list[Result]:
    """Return the results that a system has stored."""
    if system == "seedsweep":
        return [
            Result(row["seed"], row["options"]["learning_rate"], row["validation_score"][-1])
            for row in whole_lines(folder / "peers" / "results.jsonl")
            if row["status"] == "succeeded"
        ]
    if system == "ray":
        found = [each for path in folder.glob("peers/*/result.json") for each in whole_lines(path)]
        return [Result(each["config"]["seed"], each["config"]["rate"], each["score"]) for each in found]
    if system.startswith("optuna"):
        from optuna import load_study
        from optuna.trial import TrialState

        trials = load_study(study_name="peers", storage=_storage(system.removeprefix("optuna-"), folder)).get_trials(
            states=[TrialState.COMPLETE]
        )
        return [Result(**trial.params, score=trial.value or 0.0) for trial in trials]
    return _lines(folder)


PROGRAMS: dict[str, Callable[[dict[str, list[Any]], Job, Path], None]] = {
    "pool": with_pool,
    "joblib": with_joblib,
    "dask": with_dask,
    "optuna-sqlite": functools.partial(with_optuna, "sqlite"),
    "optuna-journal": functools.partial(with_optuna, "journal"),
    "ray": with_ray,
}
JOBS: dict[str, Job] = {"network": train_network, "nothing": train_nothing}


def main() -> None:
    """Run a program by its system, the numbers of jobs and learning rates, the name of the job, and the folder."""
    system, jobs, rates, job, folder = sys.argv[1:]
    PROGRAMS[system](grid(int(jobs), int(rates)), JOBS[job], Path(folder))
