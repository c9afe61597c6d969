"""What one asks and does before sweeps run, and from another terminal while they do: by real processes."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from orchestrator.cli.shared.outcome import how_to_go_on
from orchestrator.cluster.connect import Place
from orchestrator.commands import watch
from orchestrator.commands.estimate import tell_if_long
from orchestrator.commands.extend import plan_extension, undo
from orchestrator.errors import OutputError
from orchestrator.folder.activity import Activity, address
from orchestrator.folder.rows import lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import PROGRESS
from orchestrator.interruption import Interrupted
from orchestrator.running.cancel import cancel_sweep
from orchestrator.running.session import Session
from orchestrator.sweeps.fields import vocabulary
from tests.support.cluster import SLOW_EPOCHS, Cluster
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.in_process import InProcess
from tests.support.sweep_folders import BLOB, BY_KEY, JOBS, SPECIFICATION, filled, made, row
from tests.support.sweeps import sweep_of
from tests.support.terminal import plain
from tests.support.waiting import wait_for
from worker.settings import load_settings

#: Two jobs that would take hours.
ENDLESS = small(epochs="100000", seeds="0")
RESUME = "orchestrator sweep --resume --name a\n"


def started(command_line: CommandLine, *words: str) -> subprocess.Popen[str]:
    """Start an endless sweep `a` on an embedded cluster, or go on with it, and wait until it trains."""
    process = command_line.start("sweep", *(words or ENDLESS), "--workers", "1", "--name", "a")
    wait_for(lambda: process.poll() is None and training(command_line), "a job under way")
    return process


def watched(command_line: CommandLine) -> subprocess.Popen[str]:
    watching = command_line.start("watch", "a")
    wait_for(lambda: watching.stdout is not None and "looking on" in watching.stdout.readline(), "the watch")
    return watching


def training(command_line: CommandLine) -> bool:
    """Return whether a job has had its first epoch; its worker is never idle beside it."""
    found = command_line.asked("status")
    busy = {each["worker"] for each in found["jobs"] if each["worker"]}
    assert busy <= {each["worker"] for each in found["workers"] if each["training"]}, found
    return any(each["epoch"] for each in found["jobs"])


def test_a_dry_run_says_what_would_be_trained_and_begins_nothing(here: InProcess) -> None:
    told = here.run("sweep", *SMALL, "--dry-run").out
    assert "2 configurations, 4 jobs: 0 kept, 0 reused and 4 to train; time and disk cannot be estimated" in told
    assert not here.runs.exists()
    here.command_line.finished("a", *SMALL)
    before = (here.runs / "a" / "sweep.json").read_bytes()
    # 200 times the jobs of twice the epochs
    told = here.asked("sweep", *small(seeds="0-99", epochs="4"), "--workers", "1", "--dry-run")
    seconds = [row["epoch_seconds"] for row in here.command_line.rows("a")]
    mean = sum(map(sum, seconds)) / 8
    assert (told["jobs"], told["kept"], told["reused"], told["train"]) == (200, 0, 0, 200)
    assert told["seconds"] == pytest.approx(200 * 4 * mean, rel=0.5)
    size = sum(file.stat().st_size for file in (here.runs / "a" / "weights").iterdir()) / 4
    assert 200 * size < told["bytes"] < 210 * size
    assert here.asked("sweep", *small(seeds="0-2"), "--keep-weights", "none", "--dry-run")["bytes"] < size
    assert here.asked("sweep", *small(seeds="0-2"), "--no-reuse", "--dry-run")["reused"] == 0
    # A file that is elsewhere, as git-annex leaves it, is in nobody's way.
    file = next((here.runs / "a" / "weights").iterdir())
    content, _ = file.read_bytes(), file.unlink()
    file.symlink_to("/nowhere")
    assert here.asked("sweep", *small(seeds="9"), "--dry-run")["train"] == 2
    file.unlink()
    file.write_bytes(content)
    # Only the further epochs are trained.
    longer = here.asked("extend", "a", "--epochs", "4", "--workers", "1", "--dry-run")
    assert (longer["jobs"], longer["kept"], longer["reused"], longer["train"]) == (8, 4, 0, 4)
    assert longer["seconds"] == pytest.approx(4 * 2 * mean, rel=0.5)
    confirmed = here.run("confirm", "a", "--top", "1", "--fresh", "3", "--dry-run").out
    assert confirmed.startswith("a: 2 configurations, 7 jobs: 4 kept, 0 reused and 3 to train; about ")
    two = sweep_of(seeds=(0, 1, 2, 3, 4), learning_rates=(0.01, 0.03), epochs=1)
    filled(here.runs, two, lambda job: row(job, scores=(0.5 + job.seed / 10,)), name="b")
    decided = here.run("decide", "b", "--within", "0.0001", "--budget", "300", "--dry-run").out
    assert "at most 310 jobs: " in decided
    # A verdict within the tolerance needs no job.
    decided = here.run("decide", "b", "--within", "0.9", "--budget", "9", "--dry-run").out
    assert decided.startswith("b: 2 configurations, 10 jobs: ")
    assert (here.runs / "a" / "sweep.json").read_bytes() == before
    assert sorted(path.name for path in here.runs.iterdir()) == ["a", "b"]


def test_a_dry_run_goes_by_a_sweep_with_the_same_options(here: InProcess) -> None:
    for name, hidden, seconds in (("small", "8,4", 1.0), ("large", "800,400", 64.0)):
        swept = sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=1, hidden=(tuple(map(int, hidden.split(","))),))
        filled(here.runs, swept, lambda job, seconds=seconds: row(job, epoch_seconds=[seconds]), name=name)
    words = ("sweep", "--seeds", "1,2", "--learning-rates", "0.2", "--epochs", "3", "--workers", "1", "--dry-run")
    assert here.asked(*words, "--hidden", "8,4")["seconds"] == 6.0
    # Those of others may take any time.
    told = here.run(*words, "--hidden", "8,4", "--hidden", "9,9").out
    assert told.endswith("; time and disk cannot be estimated, because no sweep here has trained all these models\n")


def test_much_to_train_is_said_before_it_begins(tmp_path: Path) -> None:
    folder, said = made(tmp_path), []
    session = Session(folder, folder.manifest(), dict(BY_KEY), Place(load_settings(), workers=1))
    tell_if_long(session, 200, said.append)
    assert said == []
    tell_if_long(session, 201, said.append)
    assert said[0].startswith("This is much: 201 jobs; time and disk cannot be estimated, because no sweep here")
    # A job of eight epochs of 0.25 s goes on from four, whatever comes last.
    longer = sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=(4, 2, 8))
    folder = filled(
        tmp_path, longer, lambda job: None if job.epochs > 4 else row(job, scores=(0.5,) * job.epochs), name="b"
    )
    jobs = folder.manifest().jobs_by_key()
    session = Session(folder, folder.manifest(), jobs, Place(load_settings(), workers=1), rows=folder.rows_of(jobs))
    tell_if_long(session, 201, said.append)
    assert said[1].startswith("This is much: 201 jobs; about 3.4 min, ")


def test_another_terminal_watches_and_ends_a_sweep(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a sweep on a cluster of its own, whose folder says where
    process = started(command_line)
    file = command_line.sweep("a") / PROGRESS
    # Then another terminal sees it,
    (sweep,), (job,), (worker,) = command_line.asked("status").values()
    left = sweep.pop("seconds_left")
    assert left > 0
    assert {name: value for name, value in sweep.items() if value} == {
        "sweep": "a", "place": "here", "jobs": 2, "running": 1, "waiting": 1
    }  # fmt: skip
    assert (job["job"], job["epochs"], job["worker"]) == ("seed 0, learning rate 0.01", 100000, worker["worker"])
    assert (worker["state"], worker["data"], worker["training"]) == ("training", "bundled", 1)
    lines = command_line.run("status", "a").stdout
    assert "seed 0, learning rate 0.01" in lines
    assert "time left" in lines
    for columns in (80, 40):
        lines = plain(command_line.on_terminal("status", "a", columns=columns).read_to_end())
        # No word is broken.
        words = {"trouble", "learning", "epoch", "state", "training", worker["worker"], "heartbeat,", "trainer,"}
        assert words <= set(lines.split()), lines
    # and follows it: when it is interrupted, the one who watches does not train it, nor does who cancels wait for ever.
    watching = watched(command_line)

    def too_late(*found: Any) -> Any:
        process.send_signal(signal.SIGINT)
        command_line.end(process, status=130)
        return cancel_sweep(*found)

    monkeypatch.setattr(watch, "cancel_sweep", too_late)
    ended = watch.cancel(SweepFolder(file.parent.parent, "a"), Place(load_settings()))
    assert getattr(ended, "state", "") == "interrupted"
    told = command_line.end(watching, status=1)
    stands = "a does not run here; it is interrupted, with 0 of 2 jobs done; if a cluster trains it, name that by "
    stands += f"--broker or CELERY_BROKER_URL; go on with: {RESUME}"
    assert stands in told
    # Resumed, it is ended from there, and says who did.
    process = started(command_line, "--resume")
    watching = watched(command_line)
    done = command_line.run("cancel", "a")
    told = "The sweep a is cancelled: 1 queued job has ended, 1 running job ends after its epoch\n"
    # Or both have ended, if the sweep ends before the command has looked.
    told = f"({told}|The sweep a is cancelled: 2 queued jobs have ended\n)"
    assert re.fullmatch(f"{told}To train the cancelled jobs: {RESUME}", done.stdout)
    told = command_line.end(process, status=1)
    assert "The sweep a is cancelled by " in told
    assert "cancelled 2" in told
    assert "cancelled 2" in command_line.end(watching, status=1)
    assert not file.exists()
    assert len(command_line.description("a")["resumed"]) == 1
    assert command_line.asked("status")["sweeps"] == []
    stands = f"a does not run here; it is cancelled, with 0 of 2 jobs done; go on with: {RESUME}"
    seen = command_line.run("watch", "a", status=1)
    assert (command_line.run("status", "a").stdout, seen.stderr) == (stands, stands)
    assert seen.stdout.endswith(f"jobs: {RESUME}")
    assert command_line.asked("status", "a")["standing"]["state"] == "cancelled"
    assert command_line.run("cancel", "a").stdout == f"There is nothing to cancel: {stands}"
    # Resumed, it trains again what was cancelled.
    process = started(command_line, "--resume")
    (sweep,), (job,), _ = command_line.asked("status").values()
    assert (sweep["done"], sweep["running"], sweep["waiting"], job["epochs"]) == (0, 1, 1, 100000)
    assert "Of 2 jobs, 2 have no result yet.\n" in command_line.run("leaderboard", "a", status=1).stdout
    (listed,) = command_line.asked("list")["sweeps"]
    assert (listed["state"], listed["done"], listed["planned"]) == ("running", 0, 2)
    # Killed, it is not said to run, whatever it has left behind.
    assert address(command_line.sweep("a")) is not None
    command_line.kill(process)
    assert command_line.asked("list")["sweeps"][0]["state"] == "interrupted"
    assert file.exists()
    assert address(command_line.sweep("a")) is None
    assert command_line.asked("status") == {"sweeps": [], "jobs": [], "workers": []}
    # It may have been submitted to a cluster.
    said = command_line.run("cancel", "a", status=2).stderr
    assert "--broker is missing; allowed: the address of a Redis server" in said
    assert "(a has no cluster of its own here)" in said
    assert "There is no sweep 'b'" in command_line.run("status", "b", status=2).stderr


def test_an_address_of_somebody_else_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, server = made(tmp_path), tmp_path / "seedsweep-a1b2c3d4" / "server.sock"
    server.parent.mkdir(mode=0o755)
    for name in ("server.sock", "redis.sock"):
        server.with_name(name).touch(mode=0o600)
    told = Activity(began=0.0, at=0.0, place=f"redis+socket://{server}")
    (folder.path / PROGRESS).write_text(told.model_dump_json())
    with folder.exclusive():
        # What a killed session has left is gone.
        assert Activity.read(folder.path) is None
        (folder.path / PROGRESS).write_text(told.model_dump_json())
        assert address(folder.path) is None
        server.parent.chmod(0o700)
        assert address(folder.path) == f"redis+socket://{server}"
        # A server of one's own is no embedded one: it may have another database and another result backend.
        (folder.path / PROGRESS).write_text(told.model_dump_json().replace("server.sock", "redis.sock"))
        assert address(folder.path) is None
        (folder.path / PROGRESS).write_text(told.model_dump_json())
        # Where the host does not tell who holds a folder, nothing runs.
        with monkeypatch.context() as patched:
            patched.setattr("orchestrator.folder.locks._LOCKS", tmp_path / "none")
            assert address(folder.path) is None
        # A folder into which others can write may name the cluster of another sweep.
        folder.path.chmod(0o777)
        assert address(folder.path) is None


def test_the_status_of_a_cluster_tells_lost_workers_from_those_that_live(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep that waits for workers,
    command_line.start("sweep", *small(epochs="100000"), "--name", "a", **cluster.environment)
    cluster.wait_until_queued(4)
    (sweep,) = command_line.asked("status", **cluster.environment)["sweeps"]
    assert (sweep["waiting"], sweep["running"], sweep["seconds_left"]) == (4, 0, None)
    # and two workers, of which one is killed
    lost, alive = (cluster.start_worker(*SLOW_EPOCHS) for _ in range(2))
    wait_for(lambda: len(command_line.asked("status", **cluster.environment)["jobs"]) == 2, "2 jobs")
    lost.kill()

    # Then it is said to be lost, and nothing to run on it.
    def told() -> dict[str, Any]:
        found = command_line.asked("status", **cluster.environment)
        busy = {each["worker"] for each in found["jobs"]}
        return {each["worker"]: (each["state"], each["training"], each["worker"] in busy) for each in found["workers"]}

    states = {lost.name: ("lost", 0, False), alive.name: ("training", 1, True)}
    wait_for(lambda: told() == states, "a lost worker", report=cluster.logs)
    # The same is seen from another folder, where no session tells it.
    (sweep,), (job,), _ = command_line.asked("status", "--output", "elsewhere", **cluster.environment).values()
    assert (sweep["jobs"], sweep["done"], sweep["running"], sweep["waiting"]) == (4, 0, 1, 3)
    assert sweep["seconds_left"] > 0
    assert job["worker"] == alive.name
    assert {"lost", "UTC"} < set(command_line.run("status", **cluster.environment).stdout.split())


def test_a_round_without_a_job_that_ended_leaves_nothing(command_line: CommandLine) -> None:
    command_line.finished("a", *SMALL)
    before = command_line.description("a")
    process = command_line.start("extend", "a", "--epochs", "100000", "--workers", "1")
    wait_for(lambda: training(command_line), "a job under way")
    assert len(command_line.description("a")["rounds"]) == 1
    process.send_signal(signal.SIGINT)
    told = command_line.end(process, status=130)
    assert told.endswith("Interrupted. No further job has ended: the sweep a stays as it was\n")
    assert command_line.description("a") == before


@pytest.mark.parametrize(("status", "ends"), [("failed", True), ("failed", False), ("cancelled", False)])
def test_an_interrupted_extension_keeps_the_look_at_a_job_that_it_tried_again(
    tmp_path: Path, status: Literal["failed", "cancelled"], ends: bool
) -> None:
    # Given a sweep with a lost job, and an extension in which this one ends or still waits, and no further one ends
    folder = filled(tmp_path, SPECIFICATION, lambda job: lost_row(job, status, "it broke") if job.seed else row(job))
    plan = plan_extension(folder, Place(load_settings()), {"seeds": (2,)}, vocabulary())
    with suppress(KeyboardInterrupt), plan.begin() as session:
        session.keep_own()
        session.try_again()
        # Why a job failed stays known until it has another row.
        assert (JOBS[1].key in folder.rows(BY_KEY)) == (status == "failed")
        if ends:
            session.accept_weights(row(JOBS[1]), BLOB)
            session.accept(row(JOBS[1]))
        whole = "No further job has ended" if status == "failed" and not ends else "The extension is withdrawn, because"
        assert how_to_go_on(session, ()).startswith(whole)
        assert (f" {1 + ends} of 2 jobs are kept in " in how_to_go_on(session, ())) == (whole[0] == "T")
        raise KeyboardInterrupt
    # Then the round is gone, and the looks before are not; without any end, all is as it was.
    found = folder.manifest()
    assert (found.rounds, [look.command for look in found.looks]) == ([], ["extend"] if ends else [])
    assert folder.rows(BY_KEY)[JOBS[1].key].status == ("succeeded" if ends else status)


def test_an_interruption_while_a_round_is_added_comes_when_one_can_say_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, write, told = filled(tmp_path, SPECIFICATION, row), SweepFolder.write_manifest, list[str]()
    plan = plan_extension(folder, Place(load_settings()), {"seeds": (2,)}, vocabulary())
    with plan.place.interruption.handling(), suppress(Interrupted), monkeypatch.context() as patched:
        patched.setattr(SweepFolder, "write_manifest", lambda *of: os.kill(os.getpid(), signal.SIGINT) or write(*of))
        with plan.begin() as session:
            told.append(how_to_go_on(session, ()))
            time.sleep(30)
    assert told == ["No further job has ended: the sweep a stays as it was"]
    assert folder.manifest().rounds == []


def test_an_undo_that_cannot_be_written_withdraws_nothing(tmp_path: Path) -> None:
    folder = filled(tmp_path, SPECIFICATION, row)
    with plan_extension(folder, Place(load_settings()), {"seeds": (2,)}, vocabulary()).begin() as session:
        session.accept_weights(further := row(list(session.jobs.values())[-1]), BLOB)
        session.accept(further)
    (folder.path / "leaderboard.json").mkdir()
    with pytest.raises(OutputError):
        undo(folder, Place(load_settings()))
    assert len(folder.manifest().rounds) == 1


def test_what_was_added_last_is_undone_and_taken_back_or_trained_again(here: InProcess) -> None:
    here.command_line.finished("a", *SMALL)
    assert here.refused("undo", "a").startswith("a has no round to undo")
    before = here.command_line.rows("a")
    for dry in (("--dry-run",), ()):
        assert "A further look: " in here.run("extend", "a", "--seeds", "2", "--workers", "1", *dry).err
    # What cannot be judged loses nothing.
    described = here.runs / "a" / "sweep.json"
    whole = described.read_text()
    described.write_text(f'{whole.rstrip()[:-1]}, "metric": "x"}}')
    assert "metric is 'x'" in here.refused("undo", "a")
    assert "withdrawn" not in described.read_text()
    described.write_text(whole)
    # An earlier report is out of date then
    here.page("a")
    undone, outdated = here.run("undo", "a"), "runs/a/report.html shows the sweep as it was before; to write it again: "
    assert undone.err == f"{outdated}orchestrator report runs/a\n"
    told = undone.out
    assert told.startswith("Withdrawn from a: 2 jobs of extend, 2 rows kept for reuse. The looks stay recorded, ")
    # The rows stay, behind the others; what was seen does, too: before the round, and when it was withdrawn.
    assert here.command_line.rows("a")[:4] == before
    assert [each["rows"] for each in here.command_line.description("a")["looks"]] == [4, 6]
    resumed = here.run("sweep", "--resume", "--name", "a", "--verbose", "--time-limit", "600")
    assert "jobs 4, accepted 4" in resumed.out
    assert "damaged" not in resumed.out
    assert resumed.err.startswith("4 jobs in all, trained on this machine, ")
    assert " at a time; data set: bundled (06ad231b5cb2), cached in " in resumed.err
    assert f"settings: cache_dir {here.command_line.environment['SEEDSWEEP_CACHE_DIR']} from SEEDSWEEP_" in resumed.err
    assert ", time_limit 600 from the command line\nThis took " in resumed.err
    assert outdated in resumed.err
    assert "Sweep a: " in resumed.out
    assert "Sweep a: " not in here.run("sweep", "--resume", "--name", "a", "-q").out
    quiet = here.run("extend", "a", "--seeds", "3", "--workers", "1", "-q")
    assert (quiet.err, "accepted 6" in quiet.out) == ("", True)
    here.run("undo", "a")
    # Another sweep has them, and so does this one, without training anything.
    again = here.run("sweep", *small(seeds="0-2"), "--name", "b").out
    assert "6 are reused from other sweeps: 6 from runs/a" in again
    assert [look["command"] for look in here.command_line.description("b")["looks"]] == ["reuse"]
    again = here.run("sweep", *small(seeds="0-4"), "--name", "c", "--workers", "1").out
    assert "Reusing these results counts as a look: intervals get wider\n" in again
    assert here.asked("extend", "a", "--seeds", "2", "--dry-run")["reused"] == 2
    again = here.run("extend", "a", "--seeds", "2").out
    assert "4 were finished in an earlier session of this sweep\n2 rows taken back from what undo withdrew" in again
    assert "accepted 6, attempts 6, reused 0" in again
    # Without reuse, it trains them again, and has each of them once.
    assert here.asked("undo", "a") == {"name": "a", "withdrawn": "extend", "jobs": 2, "rows": 2}
    assert "Training 2 jobs" in here.run("extend", "a", "--seeds", "2", "--no-reuse", "--workers", "1").out
    here.run("undo", "a")
    assert len(here.command_line.rows("a")) == 8
    assert len(here.command_line.description("a")["withdrawn"]) == 4
    assert here.page("a").count("Withdrawn extend") == 4


def test_a_sweep_is_submitted_and_collected_later(command_line: CommandLine, cluster: Cluster) -> None:
    # Given no worker, the command returns at once, and says how to go on.
    made(command_line.folder / "runs", "b").path.chmod(0o777)
    done = command_line.run("submit", *SMALL, "--name", "a", "--broker", cluster.server.url, "--json")
    assert (
        "Results of 1 sweep in runs are not reused, because other users can write to or rename them: b. " in done.stderr
    )
    told = json.loads(done.stdout)
    assert (told["name"], told["jobs"]) == ("a", 4)
    cluster.wait_until_queued(4)
    cluster.start_worker()
    assert told["watch"] == f"orchestrator watch a --broker {cluster.server.url}"
    assert "accepted 4, attempts 4" in command_line.run(*told["watch"].split()[1:]).stdout
    missing = "--broker is missing; allowed: the address of a Redis server, also as CELERY_BROKER_URL (an embedded "
    assert missing in command_line.run("submit", *SMALL, status=2).stderr
