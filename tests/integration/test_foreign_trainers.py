"""Jobs of trainers that a worker lacks: it leaves them to others, and nothing that a message names is imported."""

from pathlib import Path
from typing import Any

from nn.datasets.mnist import MNIST_DIGEST
from tests.support.cluster import Cluster, make_job
from tests.support.messages import body, message
from tests.support.waiting import wait_for
from worker.job import Job, key_of
from worker.messages import QUEUE

DIGITS = "a3a279ce1fc7"


def fields(trainer: str = "softmax", **changes: Any) -> dict[str, Any]:
    """Return the canonical form of a job of a trainer that is not installed."""
    own = {"trainer": trainer, "version": 1, "seed": 0, "dataset": MNIST_DIGEST, "options": {"learning_rate": 0.1}}
    return own | changes


def put(cluster: Cluster, job: dict[str, Any]) -> str:
    """Put the message of a job into the queue, and return its task id."""
    name = key_of(job)
    text = message(body(job), task_id=name, root_id=name, wrapped={"correlation_id": name})
    cluster.server.client().lpush(QUEUE, text)
    return name


def test_a_job_of_a_trainer_a_version_or_a_data_set_that_nobody_has_fails_and_names_it(cluster: Cluster) -> None:
    worker = cluster.start_worker(SEEDSWEEP_DATASET_SECONDS="3")
    mnist = MNIST_DIGEST[:12]
    jobs = {
        f"softmax, version 1, with the data set {mnist}": fields(),
        f"network, version 7, with the data set {mnist}": make_job().fields() | {"version": 7},
        "network, version 1, with the data set abababababab": make_job(dataset="ab" * 32).fields(),
    }
    tasks = {needed: put(cluster, job) for needed, job in jobs.items()}
    for needed, task in tasks.items():
        error = cluster.error(task)
        assert type(error).__name__ == "NoSuchWorkerError"
        assert str(error).startswith(f"no worker had the trainer {needed} for ")
        worker.wait_until_logged(f"it needs the trainer {needed}")
    cluster.wait_until_acknowledged()
    # And the worker trains what it can.
    assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"


#: Jobs that nobody can have: with a name that is none of a trainer's, too large, or of options that the model refuses.
IMPOSSIBLE: list[dict[str, Any]] = [
    *map(fields, ("os.system", "worker.trainers.network:NetworkTrainer", "/etc/x.py", "", "N", "a" * 41, "evil:run")),
    fields(options={"x": "y" * 5000}),
    *(
        fields("network", options=options)
        for options in (
            {}, {"learning_rate": "__import__('os')"}, {"learning_rate": 0.1, "epochs": 10**9},
            {"learning_rate": 0.1, "x": 1}, {"learning_rate": 0.1, "__class__": "os"}, [],
        )
    ),
]  # fmt: skip


def test_a_job_that_cannot_be_is_refused_whatever_its_trainer(cluster: Cluster, tmp_path: Path) -> None:
    # Given a module that would leave a trace if somebody imported it
    trace = tmp_path / "imported"
    (tmp_path / "evil.py").write_text(f"open({str(trace)!r}, 'w')")
    cluster.start_worker(PYTHONPATH=str(tmp_path))
    for seed, job in enumerate(IMPOSSIBLE):
        why = str(cluster.error(put(cluster, job)))
        assert "the message contains an invalid job" in why, job
        assert ("at most 4096 bytes of JSON" in why) == (len(str(job)) > 5000)
        assert cluster.result(cluster.submit(make_job(seed=seed)).id).status == "succeeded"
    assert not trace.exists()


def test_a_worker_of_one_trainer_leaves_the_jobs_of_another_to_its_workers(cluster: Cluster) -> None:
    # Given a worker of the network and one of scikit-learn's estimators
    cluster.start_worker(name="network")
    # (on its own default data set)
    cluster.start_worker(name="estimators", SEEDSWEEP_TRAINER="sklearn")
    digest = wait_for(
        lambda: next((each.dataset for each in cluster.app.tasks["worker.tasks.train"].roster().all()
                      if each.trainer == "sklearn"), None),
        "the presence of a worker of sklearn", report=cluster.logs,
    )  # fmt: skip
    assert digest.startswith(DIGITS)
    # When jobs of both are queued
    theirs = [
        Job.of({"estimator": "SGDClassifier", "epochs": 2}, seed=seed, dataset=digest, trainer="sklearn")
        for seed in range(3)
    ]
    ours = [make_job(seed=seed) for seed in range(3)]
    estimators, networks = ([cluster.submit(job).id for job in jobs] for jobs in (theirs, ours))
    # Then each goes where it can be trained.
    assert {cluster.result(run).worker for run in estimators} == {"estimators@test"}
    assert {cluster.result(run).worker for run in networks} == {"network@test"}
    assert all(cluster.result(run).environment for run in estimators)
