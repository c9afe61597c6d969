"""Claims: whoever checks one finds what was tampered with, and a stranger's file costs and does nothing."""

import json
import math
import operator
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import seedsweep
from orchestrator.analysis.statement import Claim, difference
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import place_for
from orchestrator.commands import claim
from orchestrator.commands.claim import _compared, _training, power
from orchestrator.commands.verify import plan_verification
from orchestrator.errors import ClaimError
from orchestrator.folder import zipped
from orchestrator.folder.rows import identity
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.retraining import Check, Difference
from tests.support.command_line import SMALL
from tests.support.in_process import InProcess
from tests.support.memory import at_most
from tests.support.paths import ROOT, contents

Tree = dict[str, Any]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/reference/schemas/claim.schema.json").read_text()))
EXAMPLE, ROWS = ROOT / "docs/how-to/claims", "results.jsonl"


@pytest.fixture
def claimed(here: InProcess) -> InProcess:
    """The README's sweep with its claim, without weights, in runs/a."""
    shutil.copytree(EXAMPLE, here.runs / "a")
    return here


def read(folder: Path) -> Tree:
    found: Tree = json.loads((folder / "claim.json").read_text())
    return found


def test_a_claim_is_the_same_each_time_and_holds(here: InProcess) -> None:
    here.command_line.finished("a", *SMALL)
    assert here.refused("verify-claim", "a") == "The sweep a has no claim; write one with: orchestrator claim runs/a\n"
    # A race that needs no job leaves its tolerance.
    here.command_line.run("decide", "a", "--within", "0.9", "--budget", "1")
    here.run("claim", "a")
    folder = here.runs / "a"
    told = read(folder)["predicate"]["verdict"]
    assert (told["decided"], told["state"], told["within"]) == (True, "final", 0.9)
    before = contents(here.folder)
    here.run("claim", "a")
    SCHEMA.validate(read(folder))
    # With the folder, with a ZIP file of it, and without it, the claim holds, and nothing is changed.
    done = here.command_line.run("verify-claim", "a", "--jobs", "2", "--seed", "1")
    power = "\ntraining passed: 0 of 2 jobs that were trained again (of 4, by --seed 1) differ: with 95 % "
    assert power in done.stdout
    assert done.stdout.splitlines()[-1].startswith("The claim holds: Use learning rate 0.03: ")
    assert contents(here.folder) == before
    # Damaged weights are found; missing ones can be trained again.
    weights = next((folder / "weights").iterdir())
    whole = weights.read_bytes()
    weights.write_bytes(b"x")
    assert "REFUTED: files: weights/" in here.run("verify-claim", "runs/a/claim.json", status=1).out
    os.truncate(weights, 2**42)
    assert "and missing in the sweep" in here.run("verify-claim", "runs/a/claim.json", status=1).out
    # A claim of the folder as it is now does not name them.
    told = here.asked("claim", "a", "--to", "then.json")
    assert (told["path"], told["bytes"]) == ("then.json", (here.folder / "then.json").stat().st_size)
    told = here.run("claim", "a", "--to", "now.json").out
    assert told.endswith("\nTo check it: orchestrator verify-claim now.json --folder runs/a\n")
    assert weights.name not in (here.folder / "now.json").read_text()
    weights.write_bytes(whole)
    shutil.make_archive(str(here.folder / "a"), "zip", here.runs, "a")
    shutil.move(folder / "claim.json", here.folder)
    shutil.rmtree(folder)
    for how in (("--folder", "a.zip", "--jobs", "1"), ("--rebuild",)):
        statement = here.command_line.asked("verify-claim", "claim.json", *how)
        assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
        assert statement["predicate"]["result"] == "PASSED"
        assert {"jobs", "training", "verdict"} <= set(statement["predicate"]["passedTests"])
        assert statement["predicate"]["failedTests"] == []
        assert here.command_line.nothing_is_left()
    assert statement["predicate"]["configuration"][0]["annotations"]["training"].endswith(
        "differ: every row with a result is true"
    )


def test_a_sweep_with_missing_jobs_has_no_claim(claimed: InProcess) -> None:
    edit(claimed.runs / "a", ROWS, lambda rows: rows.pop())
    before = contents(claimed.folder)
    said = claimed.refused("claim", "a")
    assert said == "The sweep a can be claimed once no job is to come, and none is cancelled\n"
    assert contents(claimed.folder) == before


def test_a_claim_with_jobs_that_failed_and_diverged_holds(here: InProcess) -> None:
    here.command_line.finished(
        "a", "--seeds", "0-1", "--learning-rates", "1e38,0.03", "--epochs", "3", "--limit", "500"
    )
    gone = {"validation_score": [], "epoch_seconds": [], "weights_sha256": None, "worker": None, "error": "it broke"}
    edit(here.runs / "a", ROWS, lambda rows: (rows[1].update(gone, status="failed"), rows[1].pop("correct")))
    here.run("claim", "a")
    assert [row["status"] for row in read(here.runs / "a")["predicate"]["rows"]].count("failed") == 1
    for how in ((), ("--rebuild",)):
        done = here.command_line.run("verify-claim", "runs/a/claim.json", "--jobs", "3", *how)
        assert "0 of 3 jobs that were trained again (of 3, by --seed" in done.stdout


# Tampering


def edit(folder: Path, file: str, change: Callable[[Any], object]) -> None:
    """Change what a file of JSON, or of lines of JSON, holds."""
    lines = (folder / file).read_text().splitlines() if file == ROWS else [(folder / file).read_text()]
    trees = [json.loads(line) for line in lines]
    change(trees if file == ROWS else trees[0])
    (folder / file).write_text("".join(json.dumps(tree, indent=None if file == ROWS else 2) + "\n" for tree in trees))


def claiming(change: Callable[[Tree], object]) -> Callable[[Path], None]:
    """Return a function that changes the claim in a folder."""
    return partial(edit, file="claim.json", change=change)


def swap(*path: str | int, to: Any, file: str = "claim.json") -> Callable[[Path], None]:
    """Return a function that changes a value of a file in a folder."""
    return partial(edit, file=file, change=lambda told: reach(told, path).__setitem__(path[-1], to))


def reach(tree: Any, path: tuple[str | int, ...]) -> Any:
    """Return what holds the end of a path."""
    return reduce(operator.getitem, path[:-1], tree)


def rename(folder: Path) -> None:
    """Leave another sweep in runs/b."""
    shutil.copytree(folder, folder.with_name("b"))
    edit(folder.with_name("b"), "sweep.json", lambda told: told.update(name="b"))


def disguise(claim: Tree) -> None:
    """Put the true scores of a row beside false ones."""
    row = claim["predicate"]["rows"][0]
    true = {f"validation_score: {epoch}": score for epoch, score in enumerate(row["validation_score"], 1)}
    row.update(true, validation_score=[0.99, 0.99])


RESULTS, ROW_LESS = "REFUTED: files: results.jsonl is ", "REFUTED: 1 job has no row, or an impossible one"
OTHER_JOBS = "REFUTED: the specification and the data set give other jobs than are listed"
ALONE = ("--rebuild",)
TOLD = ("predicate", "rows", 0)
SPECIFIED, REGRET = ("predicate", "sweep", "specification"), ("predicate", "verdict", "regret")
SEEDS, NOBODYS = [0, 1, 2, 3, 4, 7], f"weights/{'0' * 64}.bin"
pop_row = claiming(lambda told: told["predicate"]["rows"].pop())
add_weights = claiming(lambda told: told["subject"].append({"name": NOBODYS, "digest": {"sha256": "0" * 64}}))
add_row = claiming(lambda told: told["predicate"]["rows"].append({"job": "x"}))
#: What is changed after the claim was written -> (how, what a verifier reads, how it verifies).
TAMPERED: dict[str, tuple[Callable[[Path], object], str, tuple[str, ...]]] = {
    "a score": (swap(1, "validation_score", 9, to=0.99, file=ROWS), RESULTS, ()),
    "a hash": (swap(1, "weights_sha256", to="ab" * 32, file=ROWS), RESULTS, ()),
    "a dropped row": (partial(edit, file=ROWS, change=lambda rows: rows.pop()), ROW_LESS, ()),
    "no rows": (lambda folder: (folder / ROWS).unlink(), "REFUTED: 20 jobs have no row, or an impossible one", ()),
    "a host": (swap("provenance", "host", to="x", file="sweep.json"), "REFUTED: files: sweep.json is ", ()),
    "a folder": (rename, " in the sweep; a sweep that went on since needs a new claim", ("--folder", "runs/b")),
    "a seed": (swap("specification", "seeds", to=SEEDS, file="sweep.json"), OTHER_JOBS, ()),
    "a claimed score": (swap(*TOLD, "validation_score", 1, to=0.9), "rows: 1: validation_score: 2 is 0.9 in the ", ()),
    "a claimed hash": (swap(*TOLD, "weights_sha256", to="ab" * 32), "REFUTED: rows: 1: weights_sha256 is abab", ()),
    "a claimed row less": (pop_row, "REFUTED: rows: 20: job is missing in the claim, and ", ()),
    "a claimed row more": (add_row, "REFUTED: rows: 21: job is x in the claim, and missing in the sweep", ()),
    "a claimed seed": (swap(*SPECIFIED, "seeds", to=SEEDS), "sweep: specification: seeds: 6 is 7 in the claim, ", ()),
    "a data set": (swap("predicate", "sweep", "dataset", to="ab" * 32), "REFUTED: sweep: dataset is abab", ()),
    "a split": (swap(*SPECIFIED, "options", "split", to="seed"), "options: split is seed in the claim, and fixed ", ()),
    "weights of no job": (add_weights, "REFUTED: files: 1 file missing whose weights no job has", ()),
    "a regret": (swap(*REGRET, to=0.001), "REFUTED: verdict: regret is 0.001 in the ", ()),
    "a verdict": (swap("predicate", "verdict", "sentence", to="U\nx"), "sentence is U\\nx in the claim, and Use ", ()),
    "a file": (claiming(lambda told: told["subject"].pop(1)), RESULTS + "missing", ()),
    "a disguised score": (claiming(disguise), "rows: 1: validation_score: 1 is 0.99 in the ", ()),
    "names of megabytes": (
        swap(*TOLD, "more", to={"k" * 1_000_000: [None] * 300_000 + [1]}),
        f"rows: 1: more: {'k' * 97}...: 300001 is 1 in",
        (),
    ),
    "alone: an impossible row": (swap(*TOLD, "validation_score", to=[2.0, 2.0]), ROW_LESS, ALONE),
    "alone: a row less": (pop_row, ROW_LESS, ALONE),
    "alone: a row more": (add_row, "REFUTED: rows: 21: job is x in the claim, and missing in the sweep", ALONE),
    "alone: a seed": (swap(*SPECIFIED, "seeds", to=SEEDS), OTHER_JOBS, ALONE),
    "alone: a data set": (swap("predicate", "sweep", "dataset", to="ab" * 32), OTHER_JOBS, ALONE),
    "alone: a split": (swap(*SPECIFIED, "options", "split", to="seed"), OTHER_JOBS, ALONE),
    "alone: a verdict": (swap("predicate", "verdict", "decided", to=True), "verdict: decided is True in the ", ALONE),
}


@pytest.mark.parametrize(("change", "sentence", "how"), TAMPERED.values(), ids=TAMPERED)
def test_what_is_changed_afterwards_is_found_without_training(
    claimed: InProcess, change: Callable[[Path], object], sentence: str, how: tuple[str, ...]
) -> None:
    change(claimed.runs / "a")
    printed = claimed.run("verify-claim", "runs/a", *how, status=1)
    assert sentence in printed.out.splitlines()[-1]
    assert "Training" not in printed.out


def test_a_claim_holds_after_the_weights_were_pruned(here: InProcess) -> None:
    here.command_line.finished("a", *SMALL)
    with (here.runs / "a" / "results.jsonl").open("a") as results:
        results.write("{}\n")
    here.run("claim", "a")
    for keep, gone in (("best:1", 2), ("none", 4)):
        here.run("prune", "a", "--keep-weights", keep)
        told = here.command_line.run("verify-claim", "a", "--jobs", "1").stdout
        assert f"{gone} weights files missing" in told
        assert told.splitlines()[-1].startswith("The claim holds: ")
    # Of what is refuted, nothing is believed.
    swap(1, "epoch_seconds", 0, to=9.0, file=ROWS)(here.runs / "a")
    assert "REFUTED: files: " in here.run("verify-claim", "a", status=1).out


def test_a_look_that_is_hidden_is_found(here: InProcess) -> None:
    # Given a sweep that was extended after its results had been seen
    here.command_line.finished("a", *SMALL)
    folder = here.runs / "a"
    here.run("claim", "a")
    here.command_line.run("extend", "a", "--seeds", "2")
    # Its claim is outdated, unless what it is about has changed, too.
    outdated = "The sweep has changed since the claim: the rows of its 4 jobs are unchanged; "
    assert here.refused("verify-claim", "a").startswith(
        f"{outdated}not so in sweep.json: jobs, resumed, rounds, looks; "
    )
    for file, change in ((ROWS, swap(1, "epoch_seconds", 0, to=9.0, file=ROWS)), ("claim.json", swap(*REGRET, to=0.1))):
        before = (folder / file).read_text()
        change(folder)
        assert "REFUTED: " in here.run("verify-claim", "a", status=1).out
        (folder / file).write_text(before)
    # So it is after the extension was withdrawn, and that of the whole sweep.
    grown = "jobs, resumed, rounds, withdrawn, looks"
    for words, changed in ((("undo", "a"), "resumed, withdrawn, looks"), (("extend", "a", "--seeds", "2"), grown)):
        here.command_line.run(*words)
        assert f"{changed}; " in here.refused("verify-claim", "a")
    # Or after two were withdrawn.
    for words in (("extend", "a", "--seeds", "3"), ("claim", "a"), ("undo", "a"), ("undo", "a")):
        here.command_line.run(*words)
    assert "jobs, rounds, withdrawn, looks; " in here.refused("verify-claim", "a")
    here.command_line.run("extend", "a", "--seeds", "2")
    here.run("claim", "a")
    assert read(folder)["predicate"]["sweep"]["looks"][0] == {"command": "extend", "seeds": 2, "rows": 4}
    # When the claim hides it
    edit(folder, "claim.json", lambda told: told["predicate"]["sweep"].update(looks=[]))
    printed = here.run("verify-claim", "runs/a/claim.json", status=1)
    assert "REFUTED: sweep: looks: 1: command is missing in the claim, and extend in the sweep" in printed.out
    # or its folder does, too, then a verifier reads it.
    honest = (folder / "sweep.json").read_text()
    edit(folder, "sweep.json", lambda told: told.pop("looks"))
    here.run("claim", "a")
    told = here.command_line.asked("verify-claim", "runs/a/claim.json", "--jobs", "1")
    assert told["predicate"]["warnedTests"] == ["looks"]
    # It is not outdated beside a folder that does not hide it.
    (folder / "sweep.json").write_text(honest)
    assert "REFUTED: files: sweep.json is " in here.run("verify-claim", "a", status=1).out


@pytest.mark.parametrize("how", [(), ("--rebuild",)])
def test_who_lies_in_rows_and_claim_is_found_by_training(here: InProcess, how: tuple[str, ...]) -> None:
    # Given a sweep whose author changed a score, and claims it
    here.command_line.finished("a", *SMALL)
    edit(here.runs / "a", ROWS, lambda rows: rows[1].update(validation_score=[0.9, 0.9]))
    here.run("claim", "a")
    # Then who trains its job again reads it.
    done = here.command_line.run("verify-claim", "runs/a/claim.json", "--jobs", "4", *how, status=1)
    assert done.stdout.splitlines()[-1].startswith("REFUTED: 1 of 4 jobs that were trained again (of 4, by --seed "), (
        done.stdout
    )
    assert "differ: seed 0, learning rate 0.03: validation accuracy, epoch 1 was 0.9, and is 0." in done.stdout
    assert "\nseed 0, learning rate 0.01: the same\n" in done.stdout


def test_a_job_that_differs_refutes_a_claim_also_beside_one_that_cannot_be_trained(claimed: InProcess) -> None:
    plan = plan_verification(SweepFolder(claimed.runs, "a"), place_for(None), jobs=2, seed=1)
    found = [Difference(what="status", kept="succeeded", again="diverged")]
    lost, false = (
        Check(**identity(job), worker=by, differences=found) for job, by in zip(plan.jobs, (None, "w"), strict=True)
    )
    outcome, _, sentence = _training(replace(plan, checks=(lost, false)))
    assert (outcome, sentence.partition(" (")[0]) == ("failed", "1 of 1 jobs that were trained again")
    with pytest.raises(ClaimError, match="cannot be checked here"):
        _training(replace(plan, checks=(lost,)))


@pytest.mark.parametrize("more", [[{}] * 9, [None], [[]]], ids=str)
def test_rows_that_no_job_has_are_a_difference(more: list[Any]) -> None:
    assert difference([{"job": 1}, *more], [{"job": 1}], "rows") == (
        f"rows has {1 + len(more)} values in the claim, and 1 in the sweep"
    )
    assert difference({"looks": more}, {}, "sweep")
    assert difference({"looks": [], "data": {}}, {}, "sweep") is None


def test_a_claim_takes_little_more_memory_than_its_values() -> None:
    claim = read(EXAMPLE)
    claim["predicate"]["sweep"]["more"] = {f"\U0001f600{n:06}": f"\U0001f600{n:05}" for n in range(10_000)}
    stored = json.dumps(claim, ensure_ascii=False).encode()
    del claim
    with at_most(4 * 2**20):
        found = Claim.read(stored)
        assert found.parts()["sweep"]["more"]
        assert sum(map(len, found.files().values())) < len(stored)
    with pytest.raises(ClaimError, match="it gives a field twice"):
        Claim.read(stored.replace(b'"more"', rb'"d\u0061ta\"set":":","d\u0061taset"'))


def test_numbers_that_differ_by_rounding_alone_are_equal() -> None:
    assert difference({"low": 0.0, "high": 0.3}, {"low": 1e-17, "high": 0.1 + 0.2}, "rivals", 1e-12) is None
    assert difference({"leader": {"low": 1.0}}, {"leader": {"low": 1.5}}, "verdict", 10.0) is not None
    assert difference([0.0], [1e-9], "rivals", 1e-12) == "rivals: 1 is 0.0 in the claim, and 1e-09 in the sweep"


def test_the_last_bit_of_a_row_counts(claimed: InProcess) -> None:
    claim = Claim.read((claimed.runs / "a/claim.json").read_bytes())
    scores = claim.predicate.rows[1]["validation_score"]
    scores[0] = math.nextafter(scores[0], 1.0)
    found = _compared(claim, Sweep.read(SweepFolder(claimed.runs, "a")), rebuilt=True)
    assert [each[1] for each in found if each[0] == "failed"] == ["rows"]


def test_a_trainer_that_is_not_exact_is_compared_and_refutes_only_in_the_same_environment(here: InProcess) -> None:
    # Given a sweep over scikit-learn on a table, one of whose rows has another score
    (here.folder / "table.csv").write_text("a,b,label\n" + "".join(f"{n % 7},{n % 5},{n % 2}\n" for n in range(60)))
    words = ("--trainer", "sklearn", "--data", "table.csv#label", "--set", "estimator=GaussianNB", "--seeds", "0-1")
    here.command_line.finished("a", *words)
    edit(here.runs / "a", ROWS, lambda rows: rows[1].update(validation_score=[rows[1]["validation_score"][0] - 0.25]))
    here.run("claim", "a")
    check = ("verify-claim", "runs/a/claim.json")
    assert "--data is missing; allowed: the path of the data set on this machine" in here.refused(*check)
    check = (*check, "--data", "table.csv#label")
    # Where it was trained, it is refuted;
    assert "REFUTED: 1 of 2 jobs" in here.command_line.run(*check, status=1).stdout
    # elsewhere, it says how much differs.
    elsewhere = {"environment": "another machine", "status": "diverged", "error": "it did"}
    edit(here.runs / "a", ROWS, lambda rows: rows[1].update(elsewhere))
    here.run("claim", "a")
    done = here.command_line.run(*check, "--json")
    predicate = json.loads(done.stdout)["predicate"]
    assert (predicate["result"], predicate["warnedTests"]) == ("WARNED", ["training"])
    assert (
        "differ, by at most 0.25 in a metric, and 1 in status or number of epochs, "
        in predicate["configuration"][0]["annotations"]["training"]
    )
    assert "The claim holds, with a warning (training): There is one configuration" in done.stderr
    # So does verify, which has verified the other row only.
    done = here.command_line.run("verify", "a", "--all", "--json", status=1)
    assert [json.loads(done.stdout)[name] for name in ("verified", "different", "noted")] == [1, 0, 1]
    assert " on another machine, and is " in done.stderr


# Bad input


def changed(*path: str | int, to: Any = None) -> Callable[[Tree], bytes]:
    """Return a function that returns a claim with another value at a path; without one, if it is None."""

    def change(claim: Tree) -> bytes:
        reach(claim, path)[path[-1]] = to
        if to is None:
            del reach(claim, path)[path[-1]]
        return json.dumps(claim).encode()

    return change


SWEEP = ("predicate", "sweep")
NOT = "claim.json is not a claim"
NO_SWEEP = "claim.json/sweep.json does not describe a sweep"
#: What the file has instead of a claim -> (its content, what is said).
HOSTILE: dict[str, tuple[Callable[[Tree], bytes], str]] = {
    "nothing": (lambda _: b"", NOT),
    "junk": (lambda _: b"\x00\xff" * 99, NOT),
    "half of it": (lambda claim: json.dumps(claim).encode()[:-99], NOT),
    "a list": (lambda _: b"[]", f"{NOT}: it is not a JSON object"),
    "a number": (lambda _: b"1e999", NOT),
    "deep nesting": (lambda _: b"[" * 100_000, NOT),
    "deep objects": (lambda _: b'{"predicate":' * 100_000, NOT),
    "many values": (lambda _: b"[" + b"0," * 2_000_000, "A claim has at most"),
    "many bytes": (lambda _: b" " * (2**25 + 1), "cannot be read: 33554433 bytes; allowed: at most 33554432"),
    "another statement": (changed("_type", to="https://in-toto.io/Statement/v2"), f"{NOT} at _type: Input should be"),
    "no type": (changed("_type"), f"{NOT} at _type: Field required"),
    "another predicate": (changed("predicateType", to="https://slsa.dev/provenance/v1"), f"{NOT} at predicateType: "),
    "a later version": (changed("predicateType", to="urn:seedsweep:claim:2"), "Input should be 'urn:seedsweep"),
    "an unknown field": (changed("payload", to="x"), f"{NOT} at payload: Extra inputs are not permitted"),
    "no predicate": (changed("predicate"), f"{NOT} at predicate: Field required"),
    "no verdict": (changed("predicate", "verdict"), f"{NOT} at predicate at verdict: Field required"),
    "a path above": (changed("subject", 0, "name", to="../../etc/passwd"), f"{NOT} at subject at 0 at name: String"),
    "an absolute path": (changed("subject", 0, "name", to="/etc/passwd"), f"{NOT} at subject at 0 at name: String"),
    "another digest": (changed("subject", 0, "digest", to={"md5": "ab"}), f"{NOT} at subject at 0 at digest"),
    "no digest": (changed("subject", 0, "digest", to={}), f"{NOT} at subject at 0 at digest"),
    "a file twice": (changed("subject", 1, "name", to="sweep.json"), f"{NOT}: it names a file twice"),
    "false weights": (changed("subject", 2, "digest", "sha256", to="0" * 64), f"{NOT}: it names weights by another"),
    "a long text": (changed(*SWEEP, "more", to="x" * 2**21), f"{NOT}: it has a text that is too long"),
    "more in a verdict": (changed("predicate", "verdict", "best", to=1), f"{NOT} at predicate at verdict at best"),
    "a field twice": (lambda claim: json.dumps(claim).replace('"state"', '"level": 1, "state"').encode(), f"{NOT}: it"),
    "many fields": (changed("predicate", "verdict", to=dict.fromkeys(map(str, range(20_000)))), "has 20000 fields"),
    "false rivals": (changed("predicate", "verdict", "rivals", to=[0] * 10_000), "at predicate at verdict at rivals: "),
    "rows of numbers": (changed("predicate", "rows", to=[1, 2]), f"{NOT} at predicate at rows at 0: Input should be"),
    "no sweep": (changed(*SWEEP, to={}), f"{NO_SWEEP} at name: Field required"),
    "a name that is a path": (changed(*SWEEP, "name", to="../up"), f"{NO_SWEEP}: invalid sweep name"),
    "a name of escapes": (changed(*SWEEP, "name", to="\x1b[2Ja"), f"{NO_SWEEP}: invalid sweep name"),
    "no jobs": (changed(*SWEEP, "jobs", to=[]), f"{NO_SWEEP}: it has no jobs"),
    "too many jobs": (changed(*SWEEP, "specification", "seeds", to=list(range(70_000))), f"{NO_SWEEP}: it has "),
    "a long integer": (changed(*SWEEP, "more", to=10**4000), f"{NO_SWEEP} at more: Extra inputs are not permitted"),
    "a foreign trainer": (changed(*SWEEP, "specification", "trainer", to="os-system"), "The trainer os-system of the"),
    "a trainer by path": (changed(*SWEEP, "specification", "trainer", to="os:system"), NO_SWEEP),
    "a data set by path": (changed(*SWEEP, "specification", "data", to="/dev/zero"), "data is missing; allowed: "),
    "a metric of no job": (changed(*SWEEP, "metric", to="x"), f"{NO_SWEEP}: metric is 'x'; allowed: "),
    "an unknown option": (changed(*SWEEP, "specification", "options", "exec", to="x"), NO_SWEEP),
    "another version's": (
        lambda claim: changed(*SWEEP, "provenance", "packages", "seedsweep", to="9.0")(
            json.loads(changed(*SWEEP, "dataset", to="ab" * 32)(claim))
        ),
        "The claim is by seedsweep 9.0 and the trainer of seedsweep 0.1.0: install these to check it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_claim_is_refused_in_one_sentence(claimed: InProcess, what: str) -> None:
    make, sentence = HOSTILE[what]
    (claimed.folder / "claim.json").write_bytes(make(read(claimed.runs / "a")))
    before = contents(claimed.folder)
    assert sentence in claimed.refused("verify-claim", "claim.json", "--rebuild")
    assert contents(claimed.folder) == before
    assert claimed.command_line.nothing_is_left()


LONG = "n" * 300
ARGUMENTS = {
    "none.json": "The claim none.json cannot be read: No such file or directory",
    "runs/a/sweep.json": "runs/a/sweep.json is not a claim at _type: Field required",
    "/dev/zero --rebuild": "The claim /dev/zero cannot be read: Not a regular file",
    "claim.json": "--folder is missing; allowed: the sweep's folder, or a ZIP file of it; --rebuild needs neither",
    "claim.json --folder runs/a --rebuild": "--folder cannot be combined with --rebuild",
    "claim.json --folder none": "There is no sweep",
    f"claim.json --folder {LONG}": "There is no sweep",
    f"{LONG} --rebuild": "There is no sweep",
    "aa": "There is no sweep 'aa': neither a sweep folder nor a name in runs (did you mean a?)",
    "claim.json --folder claim.json": "claim.json cannot be unpacked: it is not a ZIP file",
    "claim.json --folder runs/a --signers none": "The list of signers none cannot be read: No such file",
    "claim.json --folder runs/a --signers claim.json": "The signature claim.json.sig cannot be read: No such file",
    "claim.json --folder runs/a --data /none": "/none' is not a folder; allowed: ",
}


@pytest.mark.parametrize("words", ARGUMENTS)
def test_bad_arguments(claimed: InProcess, words: str) -> None:
    shutil.copy(claimed.runs / "a/claim.json", claimed.folder)
    assert ARGUMENTS[words] in claimed.refused("verify-claim", *words.split())


def test_report_and_python_have_both_commands(claimed: InProcess) -> None:
    page = re.sub("<[^>]+>", "", claimed.page("a"))
    for command in ("orchestrator claim a --to claim.json", "orchestrator verify-claim claim.json --folder runs/a"):
        assert command in page
    path = seedsweep.open("a").claim(claimed.folder / "mine.json")
    assert json.loads(path.read_text())["predicate"] == read(claimed.runs / "a")["predicate"]
    result = seedsweep.verify_claim(path, folder="runs/a", jobs=1)
    assert (result.holds, list(result.passed)[-1]) == (True, "training")
    with pytest.raises(seedsweep.ClaimError, match="cannot be read"):
        seedsweep.verify_claim("none.json", rebuild=True)


def test_a_claim_replaces_only_claims(claimed: InProcess) -> None:
    (claimed.folder / "mine").write_text("mine")
    assert "what exists there is not a claim" in claimed.refused("claim", "a", "--to", "mine")
    assert "what exists there is not a claim" in claimed.refused("claim", "a", "--to", ".")
    assert "ssh-keygen cannot sign by mine: " in claimed.refused("claim", "a", "--sign", "mine")


# ZIP files


def packed(folder: Path, *more: tuple[str, bytes], **how: Any) -> Path:
    with zipfile.ZipFile(folder / "b.zip", "w", **how) as archive:
        for name in ("sweep.json", "results.jsonl"):
            archive.write(folder / "runs/a" / name, name)
        for name, content in more:
            archive.writestr(name, content)
    return folder / "b.zip"


@pytest.mark.parametrize(
    ("more", "how", "why"),
    [
        (("sweep.json", b"{}"), {}, "File exists"),
        (("x/sweep.json", b"{}"), {}, "File exists"),
        ((f"weights/{'0' * 64}.bin", bytes(2**22)), {"compression": zipfile.ZIP_DEFLATED}, "it has more than"),
        (("sweep.json", bytes(2**22)), {"compression": zipfile.ZIP_DEFLATED}, "it has more than"),  # nothing is written
        ((f"weights/{'0' * 64}.bin", b"0"), {"compression": zipfile.ZIP_BZIP2}, "by another method than deflate"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_zip_file_is_refused(
    claimed: InProcess, monkeypatch: pytest.MonkeyPatch, more: tuple[str, bytes], how: Tree, why: str
) -> None:
    monkeypatch.setattr(zipped, "MOST_BYTES", 2**20)
    packed(claimed.folder, more, **how)
    assert why in claimed.refused("verify-claim", "runs/a/claim.json", "--folder", "b.zip")


def test_a_zip_file_writes_nothing_outside(claimed: InProcess) -> None:
    outside = claimed.folder / "outside"
    packed(claimed.folder, ("../../up", b"x"), (str(outside), b"x"), ("weights/../../up", b"x"))
    done = claimed.command_line.run("verify-claim", "runs/a/claim.json", "--folder", "b.zip", "--jobs", "1")
    assert "files passed: 2 files of the claim unchanged; 20 weights files missing" in done.stdout
    assert claimed.command_line.nothing_is_left()
    assert not outside.exists()


# Signatures


def test_a_signature_names_who_signed_this_claim(
    claimed: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    claimed.run("claim", "a", "--sign", str(key))
    signers = claimed.folder / "signers"
    signers.write_text(f'ann@example.org namespaces="seedsweep-claim" {key.with_suffix(".pub").read_text()}')
    check = ("verify-claim", "runs/a/claim.json", "--signers", "signers")
    done = claimed.command_line.run(*check, "--jobs", "1")
    assert "signature passed: the signature is by ann@example.org" in done.stdout
    # A changed claim is refuted, whatever else it says.
    edit(claimed.runs / "a", "claim.json", lambda told: told["predicate"].update(refuted_by="nothing"))
    refuted = "REFUTED: the signature names the key of ann@example.org, and is not a valid one of this claim"
    assert refuted in claimed.run(*check, status=1).out

    # So it is if somebody exchanges the signature while it is checked.
    def read_and_exchange(path: Path, *words: Any, read: Callable[..., bytes] = claim._read) -> bytes:
        content = read(path, *words)
        if path.suffix == ".sig":
            path.unlink()
            os.mkfifo(path)
        return content

    with monkeypatch.context() as patch:
        patch.setattr(claim, "_read", read_and_exchange)
        assert refuted in claimed.run(*check, status=1).out
    (claimed.runs / "a/claim.json.sig").unlink()
    # A key that is listed for another purpose says nothing,
    claimed.run("claim", "a", "--sign", str(key))
    signers.write_text(f'ann namespaces="git" {key.with_suffix(".pub").read_text()}')
    assert "claim.json.sig is not by a key that signers lists for seedsweep-claim" in claimed.refused(*check)
    # nor does a key that is not listed.
    signers.write_text("")
    assert "claim.json.sig is not by a key that signers lists" in claimed.refused(*check)
    # What a link in the folder leads to elsewhere is not read,
    signature = claimed.runs / "a/claim.json.sig"
    signature.rename(claimed.folder / "elsewhere")
    signature.symlink_to(claimed.folder / "elsewhere")
    assert "claim.json.sig cannot be read: A link out of its folder" in claimed.refused(*check)
    # and replaced.
    refused = claimed.refused("claim", "a", "--sign", str(key))
    assert "claim.json.sig cannot be written: A link out of its folder" in refused
    signature.unlink()
    (claimed.folder / "elsewhere").rename(signature)

    # A claim without a signature leaves none of an earlier one.
    claimed.run("claim", "a")
    assert "claim.json.sig cannot be read: No such file" in claimed.refused(*check)


@pytest.mark.parametrize(
    ("trained", "share"), [(1, "95 %"), (5, "46 %"), (14, "20 %"), (58, "6 %"), (59, "5 %"), (299, "1 %")]
)
def test_the_power_is_that_of_a_sample(trained: int, share: str) -> None:
    assert power(trained, 10_000) == f"with 95 % confidence, fewer than {share} of the rows with a result are false"
    assert (1 - int(share[:-2]) / 100) ** trained < 0.05 + 1e-9


@pytest.mark.slow(reason="trains three jobs on all of MNIST")
def test_the_claim_in_the_documents_holds(here: InProcess) -> None:
    text = (ROOT / "docs/how-to/claims.md").read_text()
    done = here.command_line.run("verify-claim", str(EXAMPLE / "claim.json"), "--jobs", "3", "--seed", "1")
    # Jobs end in any order, and machines have more cores or fewer.
    assert [line for line in done.stdout.splitlines()[1:] if line not in text] == []
    SCHEMA.validate(read(EXAMPLE))
    # The folder gives the same claim again.
    shutil.copytree(EXAMPLE, here.runs / "a")
    here.run("claim", "a")
    assert read(here.runs / "a")["predicate"] == read(EXAMPLE)["predicate"]
