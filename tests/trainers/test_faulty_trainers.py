"""A trainer is other people's code: whatever it does, its job fails with the reason, and the worker lives."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.cli.main import run
from tests.support import own_trainer
from tests.support.cluster import Cluster
from worker.errors import TrainerUnusableError
from worker.job import Job
from worker.trainers import registry

SOURCE = (
    own_trainer.WITHOUT_DATA
    + """
import os, random, signal, sys, time

class Options(Frozen):
    fault: str = Field(default="none", max_length=40, description="What goes wrong.")
    epochs: int = Field(default=2, ge=1, le=5, description="Epochs.")

class Faulty(WithoutData):
    name, version, Options, metric = "faulty", 1, Options, Metric(name="share", is_share=True)

    def max_bytes(self, options, digest):
        return 1000

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        fault = options.fault
        if fault == "raises": raise KeyError("what went wrong\\nsecond line")
        if fault == "exits": sys.exit(3)
        if fault == "interrupts": raise KeyboardInterrupt
        if fault == "forks" and os.fork() == 0: return Trained(artifact=b"of a child")
        if fault == "at once": return Trained(artifact=b"x", problem="diverged: at once")
        if fault == "prints": print("hello", flush=True)
        if fault == "seeds": random.seed(1)
        values = {"nan": float("nan"), "text": "0.5", "beyond": 1.5, "huge": 10**400, "nothing": None}
        for epoch in range(options.epochs + (fault == "more epochs") - (fault == "fewer epochs")):
            on_epoch(values.get(fault, 0.5), {"state": lambda: "text", "no state": lambda: 1 // 0}.get(fault),
                     {"x": 1.0} if fault == "others" else None)
        if fault == "hangs":
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(10**6)
        if fault == "no result": return None
        if fault == "artifact": return Trained(artifact=b"x" * 1001)
        if fault == "empty": return Trained(artifact=b"")
        if fault == "answers": return Trained(artifact=b"x", correct=[[1, 2], [3]])
        return Trained(artifact=repr(random.random()).encode() if fault == "seeds" else b"fine", correct=[True, False])

def boom(*arguments, **more):
    raise KeyError("boom\\nof a second line")

# An error in the method that `BUG` names; with `AT`, only where this variable is set, too.
if "BUG" in os.environ and os.environ.get("AT", "PATH") in os.environ:
    setattr(Faulty, os.environ["BUG"], boom)
"""
)
#: What goes wrong, and what the job's row says of it.
FAULTS = {
    "raises": "the trainer faulty raised KeyError: 'what went wrong\\nsecond line'",
    "exits": "the trainer faulty raised SystemExit: 3",
    "interrupts": "the trainer faulty raised KeyboardInterrupt",
    "nan": "the trainer faulty reported nan as share; allowed: a number of at most 1e+100",
    "text": "the trainer faulty reported '0.5' as share",
    "huge": "the trainer faulty reported 1000",
    "nothing": "the trainer faulty reported None as share",
    "beyond": "the trainer faulty reported 1.5 as share; allowed: a share from 0 to 1",
    "others": "the trainer faulty reported the further metrics ['x']; allowed: []",
    "more epochs": "the trainer faulty reported more than 2 epochs",
    "at once": "the trainer faulty reported 0 of 2 epochs: diverged: at once",
    "fewer epochs": "the trainer faulty reported 1 of 2 epochs",
    "no state": "the trainer faulty raised ZeroDivisionError instead of making a checkpoint: ",
    "state": "the trainer faulty made a checkpoint that is not at most 1000 bytes",
    "no result": "the trainer faulty returned None; allowed: a seedsweep.Trained",
    "artifact": "the trainer faulty returned an artifact that is not 1 to 1000 bytes",
    "empty": "the trainer faulty returned an artifact that is not 1 to 1000 bytes",
    "answers": "the trainer faulty returned an invalid result: ",
}


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """A folder of the path with the package of a trainer, which this process finds, too."""
    with own_trainer.installed(tmp_path / "site", "faulty", SOURCE, "Faulty"):
        yield tmp_path / "site"


def job(fault: str) -> Job:
    return Job.of({"fault": fault}, seed=0, dataset="d" * 64, trainer="faulty")


def test_what_a_trainer_does_wrong_fails_its_job_and_nothing_else(cluster: Cluster, installed: Path) -> None:
    # Given a worker that checkpoints after every epoch, and would stop after one failure of its own
    worker = cluster.start_worker(
        PYTHONPATH=str(installed), SEEDSWEEP_TRAINER="faulty", SEEDSWEEP_CHECKPOINT_SECONDS="0",
        SEEDSWEEP_BREAKER_FAILURES="1",
    )  # fmt: skip
    process = psutil.Process(worker.process.pid)
    runs = {fault: cluster.submit(job(fault)).id for fault in FAULTS}
    # Then each job fails for its own reason,
    said = {fault: str(cluster.wait_for_state(run, "FAILURE", "SUCCESS")["result"]) for fault, run in runs.items()}
    assert {fault: reason for fault, reason in said.items() if not reason.startswith(FAULTS[fault])} == {}
    # and one that prints, forks, or seeds the global generator, and others after it, are trained.
    for fault in ("prints", "forks", "seeds", "none"):
        result = cluster.result(cluster.submit(job(fault)).id)
        assert (result.validation_score, result.attempts) == ([0.5, 0.5], 1)
    assert process.is_running()
    assert "line\nsecond line" not in worker.text()


def test_a_trainer_that_cannot_be_imported_is_named_and_leaves_the_others_usable(
    cluster: Cluster, installed: Path
) -> None:
    (installed / "faulty_trainer.py").write_text("import a_package_that_nobody_has\n")
    worker = cluster.start_worker(ready=False, PYTHONPATH=str(installed), SEEDSWEEP_TRAINER="faulty")
    worker.process.wait(60)
    assert (
        "Error: The trainer faulty (faulty_trainer:Faulty) cannot be imported: ModuleNotFoundError: No module named "
        "'a_package_that_nobody_has'"
    ) in worker.text()
    # The others still train.
    cluster.start_worker(name="network", PYTHONPATH=str(installed))


#: The methods that are called before a sweep begins, and those that are called later.
AT_ONCE = ("options_for", "check", "digest", "named", "version_of")
LATER = ("epochs", "metric_of", "others", "max_bytes", "prepare", "check_artifact", "data_name", "model_name",
         "continued", "held_out")  # fmt: skip


def broken(method: str) -> str:
    return f"The trainer faulty is broken: its {method} raised KeyError: 'boom\\nof a second line'"


@pytest.mark.parametrize("method", [*AT_ONCE, *LATER])
def test_an_error_in_any_method_of_a_trainer_is_one_sentence(
    installed: Path, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUG", method)
    with pytest.raises(TrainerUnusableError, match=f"its {method} raised KeyError") as caught:
        getattr(registry.trainer("faulty"), method)({})
    assert str(caught.value) == broken(method)
    if method in AT_ONCE:
        words = ["sweep", "--trainer", "faulty", "--seeds", "0", "--output", str(tmp_path / "runs"), "--name", "a"]
        assert run(words) == 2
        assert capsys.readouterr().err == f"orchestrator: {broken(method)}\n"
        assert not (tmp_path / "runs").exists()
    # The other trainers are still listed with their options.
    assert run(["trainers"]) == 0
    assert "learning_rate" in capsys.readouterr().out


@pytest.mark.parametrize("versions", ["{1}", "frozenset({2})", "1 // 0"])
def test_versions_that_are_none(installed: Path, versions: str) -> None:
    (installed / "faulty_trainer.py").write_text(f"{SOURCE}\nFaulty.versions = property(lambda self: {versions})\n")
    with pytest.raises(TrainerUnusableError, match=r"The trainer faulty .* is invalid: its versions"):
        registry.trainer("faulty")


@pytest.mark.parametrize("method", ["options_for", "max_bytes", "others"])
def test_an_error_on_a_worker_alone_fails_its_job_and_leaves_it_alive(
    cluster: Cluster, installed: Path, method: str
) -> None:
    # Given a worker whose trainer is broken on its host only
    worker = cluster.start_worker(
        PYTHONPATH=str(installed), SEEDSWEEP_TRAINER="faulty", BUG=method, AT="SEEDSWEEP_TRAINER"
    )
    # Then the job fails with the reason, and the worker lives.
    said = str(cluster.wait_for_state(cluster.submit(job("none")).id, "FAILURE", "SUCCESS")["result"])
    assert said.removeprefix("the message contains an invalid job: ") == broken(method)
    assert psutil.Process(worker.process.pid).is_running()


@pytest.mark.slow(reason="waits until a process has been silent for 6 s")
def test_a_trainer_that_hangs_after_its_last_epoch_and_ignores_signals_is_ended(
    cluster: Cluster, installed: Path
) -> None:
    hasty = cluster.with_settings(hang_seconds=1.0, socket_seconds=2.0, max_attempts=1)
    worker = hasty.start_worker(PYTHONPATH=str(installed), SEEDSWEEP_TRAINER="faulty")
    said = str(hasty.error(hasty.submit(job("hangs")).id))
    assert said.startswith("the job hung or took its worker down 1 times (hung on ")
    # And the worker trains the next job.
    assert hasty.result(hasty.submit(job("none")).id).status == "succeeded"
    assert psutil.Process(worker.process.pid).is_running()


@pytest.mark.parametrize(
    ("field", "word", "said"),
    [
        ("rate: float = Field(default=1.0)", "rate=1e400", "options is not plain JSON; allowed: finite numbers"),
        (
            "widths: int = Field(default=())",
            "epochs=1",
            "The trainer faulty has an option whose default cannot be read from text: Value error, invalid widths",
        ),
    ],
)
def test_options_that_no_sweep_can_have(
    installed: Path, tmp_path: Path, field: str, word: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = installed / "faulty_trainer.py"
    module.write_text(SOURCE.replace("    epochs: int", f"    {field}\n    epochs: int"))
    words = ["--seeds", "0", "--output", str(tmp_path / "runs"), "--name", "a"]
    assert run(["sweep", "--trainer", "faulty", "--set", word, *words]) == 2
    assert capsys.readouterr().err.startswith(f"orchestrator: {said}")
    assert not (tmp_path / "runs").exists()
