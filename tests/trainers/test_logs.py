"""What a trainer prints, logs and raises is kept, and shown."""

import io
import logging
import re
from pathlib import Path

import pytest

import seedsweep
from tests.support.cluster import Cluster
from tests.support.command_line import QUICK, CommandLine
from tests.support.own_trainer import found_by_commands
from worker.redis import limits
from worker.training.joblog import MAX_BYTES, JobLog, job_log

SOURCE = """
import logging, time, warnings
from tests.trainers.broken import Honest

class Buggy(Honest):
    name = "buggy"

    def train(self, options, seed, data, **how):
        if seed == 1:
            logging.getLogger("mine").info("\u00e9" * 40_000)
        print("printed")
        logging.getLogger("mine").info("logged %d", seed)
        warnings.warn("warned")
        if seed == 2:
            time.sleep(5)
        if seed == 200:
            time.sleep(600)
        if seed == 1:
            look_up({"accuracy": 1.0})
        return super().train(options, seed, data, **how)

def look_up(metrics):
    metrics["loss\\x1b[2J"]
"""
LOUD = """
from tests.trainers.broken import Honest

print("in import")

def loud(method):
    def called(self, *words, **how):
        print("in", method)
        return getattr(Honest, method)(self, *words, **how)
    return called

class Loud(Honest):
    name = "loud"
    load, train, drawings = map(loud, ("load", "train", "drawings"))
"""
LINE = SOURCE.splitlines().index('    metrics["loss\\x1b[2J"]') + 1
SWEEP = ("sweep", "--trainer", "buggy", "--seeds", "0-1", "--name", "a")

buggy = found_by_commands("buggy", SOURCE, "Buggy")
loud = found_by_commands("loud", LOUD, "Loud")


def test_each_job_of_an_embedded_cluster_keeps_its_log(command_line: CommandLine, buggy: dict[str, str]) -> None:
    # One process trains both, so that what a process does once is seen to be done for each.
    done = command_line.run(*SWEEP, "--workers", "1", status=1, **buggy)
    # The row says where,
    failed = next(row for row in command_line.rows("a") if row["status"] == "failed")
    assert failed["error"].endswith(f"KeyError: 'loss\\x1b[2J' (buggy_trainer.py, line {LINE}, in look_up)")
    # the terminal shows the last lines of the first failure, and how to see more,
    shown = done.stdout.partition("The first failure:\n")[2].splitlines()
    assert f'buggy_trainer.py", line {LINE}, in look_up' in shown[0]
    assert shown[2].strip() == "KeyError: 'loss\\x1b[2J'"
    assert shown[3] == f"Its log: orchestrator logs runs/a {failed['job'][:12]}"
    # and the logs have what the trainer said.
    log = command_line.run("logs", "a", "seed=1", **buggy).stdout
    logs = seedsweep.open(command_line.folder / "runs/a").logs("seed=1")
    assert [(key, "printed\n" in text) for key, text in logs.items()] == [(failed["job"], True)]
    for word in ("printed\n", " INFO mine: logged 1\n", "UserWarning: warned", "in look_up"):
        assert word in log
    both = command_line.run("logs", "runs/a", **buggy).stdout
    assert ("seed=0\n" in both, " INFO mine: logged 0\n" in both) == (True, True)
    assert "UserWarning: warned\n" in both.partition("seed=1")[0]
    # A line may be that of a stranger.
    other = next(path for path in command_line.sweep("a").glob("logs/*") if path.stem != failed["job"])
    other.write_text("\x1b" * 70_000 + "\n")
    escaped = r"\x1b"
    assert f"\n  {escaped * 997}...\n" in command_line.run("logs", "a", **buggy).stdout
    assert command_line.run("logs", "a", "seed=0", **buggy).stdout == escaped * 70_000 + "\n"
    # The log of a job that was silent until now is empty, and has no heading.
    other.write_text("")
    assert command_line.run("logs", "runs/a", **buggy).stdout == log
    assert seedsweep.open(command_line.folder / "runs/a").logs() == logs
    assert command_line.asked("logs", "a", **buggy) == {"name": "a", "logs": logs}
    # and of a link that leads out of the folder, as one in a stranger's may.
    (command_line.folder / "private").write_text("secret")
    other.unlink()
    other.symlink_to(command_line.folder / "private")
    assert command_line.run("logs", "runs/a", **buggy).stdout == log
    assert "\x1b" not in done.stdout + log + both
    # Show draws the learning curve of any trainer, and says in full why there is none.
    shown_job = command_line.run("show", "a", "0", **buggy).stdout
    row = command_line.asked("show", "a", "0", **buggy)
    assert f"of a: seed=0; accuracy {100 * row['validation_score'][-1]:.2f} %\n" in shown_job
    assert "Learning curve: accuracy after each epoch\n" in shown_job
    assert f"     3  {100 * row['validation_score'][2]:.2f} % █" in shown_job
    refused = command_line.run("show", "a", "1", status=2, **buggy).stderr
    told = "orchestrator: JOB is seed=1, which failed; allowed: a job with a result. It ended with "
    assert refused == f"{told}{failed['error']}\n"


def test_the_end_of_a_failed_jobs_log_comes_with_its_result_from_a_cluster(
    cluster: Cluster, command_line: CommandLine, buggy: dict[str, str]
) -> None:
    cluster.start_worker(SEEDSWEEP_TRAINER="buggy", **buggy)
    done = command_line.run(*SWEEP, "--broker", cluster.server.url, status=1, **buggy)
    assert "The first failure:\n" in done.stdout
    # Its last 64 KB, of which the first character may be cut; they leave Redis with that.
    [log] = (command_line.folder / "runs/a/logs").iterdir()
    assert 0 <= log.stat().st_size - limits.LOG <= 2
    assert log.read_text().endswith("KeyError: 'loss\\x1b[2J'\n")
    assert cluster.server.client().keys("seedsweep:log:*") == []


def test_jobs_without_a_log(command_line: CommandLine) -> None:
    command_line.finished("b", *QUICK)
    assert not (command_line.folder / "runs/b/logs").exists()
    assert command_line.run("logs", "b", status=1).stderr.startswith("No job has a log")
    assert command_line.asked("logs", "b", status=1) == {"name": "b", "logs": {}}


def test_what_a_trainer_prints_in_a_commands_own_process_is_no_part_of_its_answer(
    command_line: CommandLine, loud: dict[str, str]
) -> None:
    command_line.asked("sweep", "--trainer", "loud", "--seeds", "0", "--name", "a", **loud)
    command_line.run("prune", "a", "--keep-weights", "none", **loud)
    for words, told in (("weights --json", "train"), ("show --json", "drawings"), ("verify", "load")):
        done = command_line.run(*words.split(), "a", **loud)
        assert {f"in {each}\n" in done.stderr for each in ("import", told)} == {True}
        assert re.findall("in (?:import|load|train|drawings)", done.stdout) == []


def test_a_log_is_bounded_and_neither_a_link_nor_a_full_disk_fails_a_job(tmp_path: Path) -> None:
    (tmp_path / "link.log").symlink_to(tmp_path / "other")
    for name in ("a", "link"):
        with job_log(tmp_path, name, 60.0, print):
            print("first")
            for _ in range(3):
                print("x" * (MAX_BYTES - 9))
            print("last")
    kept = (tmp_path / "a.log").read_text()
    assert (len(kept) <= MAX_BYTES, kept.endswith("x\nlast\n"), "first" in kept) == (True, True, False)
    assert not (tmp_path / "other").exists()
    full = JobLog(io.FileIO("/dev/full", "r+b"), 60.0)
    print("no room", file=full.text)


def test_a_log_leaves_logging_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    ends: list[bytes] = []

    def fail() -> None:
        with job_log(None, "a", 60.0, ends.append):
            logging.getLogger("mine").info("logged")
            raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        fail()
    assert (root.level, list(root.handlers)) == before
    # Other handlers got what their level lets through.
    assert "logged" not in caplog.text
    [end] = ends
    assert b" INFO mine: logged\n" in end


def test_a_job_without_a_sign_of_life_is_mentioned_with_its_stack(
    command_line: CommandLine, buggy: dict[str, str]
) -> None:
    words = ("sweep", "--trainer", "buggy", "--seeds", "2", "--name", "a")
    done = command_line.run(*words, SEEDSWEEP_SILENT_SECONDS="1", **buggy)
    said = done.stdout.partition("No sign of life of seed 2, which ")[2].splitlines()
    assert said[0].endswith(" trains: it is at")
    line = SOURCE.splitlines().index("            time.sleep(5)") + 1
    assert said[1].endswith(f'buggy_trainer.py", line {line} in train')


def test_a_job_that_takes_too_long_fails_and_is_not_tried_again(
    command_line: CommandLine, buggy: dict[str, str]
) -> None:
    words = ("sweep", "--trainer", "buggy", "--seeds", "0,200", "--name", "a", "--time-limit", "10")
    done = command_line.run(*words, status=1, **buggy)
    assert "accepted 1, attempts 2, reused 0, diverged 0, failed 1" in done.stdout
    (failed,) = (row for row in command_line.rows("a") if row["status"] == "failed")
    assert (failed["error"], failed["attempts"]) == ("TimeLimitExceeded: the job took longer than 10 s", 1)
    assert [each["end"] for each in failed["history"]] == ["failed"]


@pytest.mark.parametrize("place", ["embedded", "cluster"])
def test_a_sweep_ends_at_the_first_failed_job_if_it_is_told_to(
    cluster: Cluster, command_line: CommandLine, buggy: dict[str, str], place: str
) -> None:
    words = ["sweep", "--trainer", "buggy", "--seeds", "0,1,3-199", "--set", "epochs=50", "--name", "a"]
    if place == "cluster":
        cluster.start_worker(SEEDSWEEP_TRAINER="buggy", **buggy)
        words += ["--broker", cluster.server.url]
    else:
        words += ["--workers", "1"]
    done = command_line.run(*words, "--fail-fast", "1", status=1, **buggy)
    assert "1 job failed: the others are cancelled\n" in done.stdout
    rows = command_line.rows("a")
    assert [rows[0]["status"], rows[1]["status"]] == ["succeeded", "failed"]
    # Jobs that were under way may have ended meanwhile.
    assert {row["status"] for row in rows[-3:]} == {"cancelled"}
    assert len(rows) == 199
