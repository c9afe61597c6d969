"""`orchestrator export`: each format is opened by the tool that it is for."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import shutil
import signal
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas
import pytest

from orchestrator.analysis.sweep import Sweep
from orchestrator.export import ro_crate
from orchestrator.export.formats import staged
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.rounds import Look, Round
from tests.support.boards import folder_of
from tests.support.command_line import SMALL, CommandLine
from tests.support.exported import end, odd_sweep, odd_trainer
from tests.support.in_process import InProcess
from tests.support.paths import ROOT, contents
from tests.support.redis_server import free_port
from tests.support.sweep_folders import names_in
from tests.support.waiting import wait_for
from worker.text import one_line

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

#: The formats, with the files or the folder that each makes of a sweep `odd` by default.
MADE = {"csv": ("odd.csv", "odd.epochs.csv"), "mlflow": ("odd.mlflow.db",), "tensorboard": ("odd.tensorboard",)}
PACKAGES = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}


@pytest.fixture(scope="module", autouse=True)
def _odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the trainer of `odd_sweep` be found."""
    with odd_trainer(tmp_path_factory.mktemp("site")):
        yield


@pytest.fixture
def here(here: InProcess) -> InProcess:
    """A working folder, in which the sweep `odd` is."""
    odd_sweep(here.runs)
    return here


def export(here: InProcess, to: str) -> None:
    """Export the sweep `odd` twice, and check that the same folder gives the same bytes."""
    here.run("export", "odd", "--to", to)
    first = [contents(here.folder / name) for name in MADE[to]]
    assert all(first)
    shutil.rmtree(here.folder / MADE[to][0], ignore_errors=True)  # only files are replaced
    here.run("export", str(here.runs / "odd"), "--to", to, "--force")
    assert [contents(here.folder / name) for name in MADE[to]] == first
    assert names_in(here.folder) == sorted(["runs", *MADE[to]])


def test_csv_has_every_job_and_every_epoch_of_a_real_sweep(command_line: CommandLine) -> None:
    command_line.finished("a", *SMALL)

    printed = command_line.run("export", "a", "--to", "csv").stdout

    assert printed == "Exported 4 jobs: a.csv, a.epochs.csv\n"
    jobs = pandas.read_csv(command_line.folder / "a.csv")
    epochs = pandas.read_csv(command_line.folder / "a.epochs.csv")
    rows = command_line.rows("a")
    assert list(jobs["job"]) == [each["job"] for each in rows]
    assert list(jobs["learning_rate"]) == [each["options"]["learning_rate"] for each in rows]
    assert list(jobs["score"]) == [each["validation_score"][-1] for each in rows]
    assert list(jobs["weights_sha256"]) == [each["weights_sha256"] for each in rows]
    assert list(jobs["hidden_layer_sizes"]) == ["128,64"] * 4
    assert set(jobs["metric"]) == {"validation accuracy"}
    for each in rows:
        of_job = epochs[epochs["job"] == each["job"]]
        assert list(of_job["epoch"]) == [1, 2]
        assert list(of_job["score"]) == each["validation_score"]
        assert list(of_job["seconds"]) == each["epoch_seconds"]


def test_texts_of_strangers_are_neither_formulas_nor_escapes_in_csv(here: InProcess) -> None:
    export(here, "csv")

    raw = (here.folder / "odd.csv").read_bytes()
    assert b"\x1b" not in raw
    assert b"\r" not in raw
    with (here.folder / "odd.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    statuses = "succeeded diverged succeeded failed succeeded cancelled"
    assert [each["status"] for each in rows] == statuses.split()
    hostile = rows[1]
    assert hostile["text"].startswith("'=cmd|\"<script>")
    assert "\\x1b[31m" in hostile["text"]
    assert (hostile["worker"], hostile["error"]) == ("'-w@host", "'=diverged")
    assert rows[3]["error"] == "'=it broke\\x1b[0m\\nsecond line"
    # So does the leaderboard.
    for words in (("--csv",), ("--csv", "--by", "job")):
        printed = here.run("leaderboard", "odd", *words).out
        assert "\x1b" not in printed
        assert re.search(r",\"?'=cmd", printed)
    # Numbers stay numbers, and names that are taken get a prefix.
    assert (hostile["ratio"], hostile["widths"], hostile["depth"]) == ("-0.1", "3,2", "none")
    assert (hostile["options.status"], hostile["loss"]) == ("x", "false")
    assert (hostile["metrics.loss"], hostile["metrics.metrics.loss"]) == ("3.0", "1.0")
    assert (rows[3]["score"], rows[3]["metrics.loss"], rows[3]["weights_sha256"]) == ("", "", "")
    assert {name for each in rows for name in each} == set(rows[0])


def test_a_crate_takes_the_place_of_the_folder_and_describes_each_file(
    here: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a finished sweep with a metric of its own, by which there was a race
    shutil.copytree(ROOT / "docs/how-to/claims", here.folder / "runs/a")
    manifest = SweepFolder(here.runs, "a").manifest().model_copy(update={"metric": "mean-2"})
    race = Look(command="decide", seeds=5, rows=20, within=1e-5, metric="mean-2")
    SweepFolder(here.runs, "a").write_manifest(manifest.with_look(race))
    here.run("export", "a", "--to", "ro-crate")
    made = (here.folder / "a.crate.zip").read_bytes()
    here.run("export", "a", "--to", "ro-crate", "--force")
    assert (here.folder / "a.crate.zip").read_bytes() == made
    # Then the crate describes all of its files
    with zipfile.ZipFile(here.folder / "a.crate.zip") as crate:
        names = crate.namelist()
        entities = {each["@id"]: each for each in json.loads(crate.read(names[0]))["@graph"]}
        (here.folder / "claim.json").write_bytes(crate.read("claim.json"))
    assert names == ["ro-crate-metadata.json", "claim.json", "report.html", "sweep.json", "results.jsonl"]
    assert [each["@id"] for each in entities["./"]["hasPart"]] == names[1:]
    assert {entities[name]["@type"] for name in names[1:]} == {"File"}
    assert entities["#sweep"]["instrument"]["@id"] in entities
    # and a claim is checked with it as with the folder.
    assert "files passed" in here.run("verify-claim", "claim.json", "--folder", "a.crate.zip", "--jobs", "1").out
    # A sweep with jobs that were cancelled has none.
    assert "can be claimed once no job is to come" in here.refused("export", "odd", "--to", "ro-crate")
    # One that verify-claim would not read is not written.
    monkeypatch.setattr(ro_crate, "MOST_BYTES", 1000)
    assert "verify-claim reads less than 1000" in here.refused("export", "a", "--to", "ro-crate", "--force")
    assert (here.folder / "a.crate.zip").read_bytes() == made


def test_tensorboard_reads_a_run_for_each_job(here: InProcess) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    export(here, "tensorboard")

    runs = EventMultiplexer().AddRunsFromDirectory(str(here.folder / "odd.tensorboard"))
    runs.Reload()
    names = sorted(runs.Runs())
    assert len(names) == 6
    assert [name for name in names if name.startswith("text=plain")] == [f"text=plain/seed-{seed}" for seed in range(3)]
    assert all(name.count("/") == 1 and name.isascii() and not set(name) & set('<>"\\ ') for name in names)
    for each in Sweep.read(SweepFolder(here.runs, "odd")).rows.values():
        (name,) = [
            name
            for name in names
            if name.endswith(f"-{each.seed}") and (each.options.text == "plain") is ("plain" in name)
        ]
        if not each.accepted:
            assert runs.Runs()[name]["scalars"] == []
            continue
        scalars = runs.Scalars(name, "error_rate")
        assert [scalar.step for scalar in scalars] == [1, 2]
        np.testing.assert_array_equal([scalar.value for scalar in scalars], np.float32(each.validation_score))
        assert [scalar.value for scalar in runs.Scalars(name, "loss")] == [2.0, 1.0]
        content = runs.SummaryMetadata(name, metadata.SESSION_START_INFO_TAG).plugin_data.content
        # Options are in an order that every process gives.
        assert content == HParamsPluginData.FromString(content).SerializeToString(deterministic=True)
        session = metadata.parse_session_start_info_plugin_data(content)
        assert session.hparams["ratio"].number_value == -0.1
        assert session.hparams["text"].string_value == one_line(each.options.text)
        assert session.group_name == name.partition("/")[0]


def client_of(uri: str) -> MlflowClient:
    # Imported here, as TensorBoard is: each takes a second, in every test process.
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def runs_of(uri: str, name: str) -> dict[str, Run]:
    """Return the runs of an experiment, by their names."""
    client = client_of(uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_mlflow_reads_a_run_for_each_configuration_and_in_it_one_for_each_seed(here: InProcess) -> None:
    # Given a path in which much would mean something else in an address
    place = here.folder / "odd #x%41?é'" / "a b?.db"
    place.parent.mkdir()
    place.write_text("an earlier file")

    printed = here.asked("export", "odd", "--to", "mlflow", "--file", str(place), "--force")

    assert printed == {
        "name": "odd", "format": "mlflow", "places": [str(place)], "jobs": 6, "exported": 6, "known": 0,
    }  # fmt: skip
    assert names_in(place.parent) == ["a b?.db"]
    uri = f"sqlite:///{place.rename(here.folder / 'plain.db')}"
    runs = runs_of(uri, "odd")
    parents = {name: run for name, run in runs.items() if "mlflow.parentRunId" not in run.data.tags}
    assert (len(runs), len(parents)) == (8, 2)
    plain = parents["text=plain"]
    assert plain.data.metrics["error_rate.mean"] == pytest.approx((0.25 + 0.25 + 1 / 3 + 0.25 + 2 / 3) / 3)
    assert (plain.data.metrics["n"], plain.data.metrics["rank"]) == (3, 1)
    assert plain.data.params["widths"] == "3,2"
    assert "seed" not in plain.data.params
    of_seed = runs["text=plain seed 1"]
    rows = Sweep.read(SweepFolder(here.runs, "odd")).rows.values()
    ended = next(each for each in rows if each.seed == 1 and each.accepted)
    assert of_seed.data.tags["mlflow.parentRunId"] == plain.info.run_id
    assert of_seed.data.tags["seedsweep.job"] == ended.job
    assert of_seed.data.tags["seedsweep.weights_sha256"] == ended.weights_sha256
    assert of_seed.data.params == {
        "text": "plain", "widths": "3,2", "depth": "none", "ratio": "-0.1", "status": "x", "loss": "false",
        "epochs": "2", "seed": "1",
    }  # fmt: skip
    history = client_of(uri).get_metric_history(of_seed.info.run_id, "error_rate")
    assert [(each.step, each.value) for each in history] == list(enumerate(ended.validation_score, 1))
    assert of_seed.info.end_time - of_seed.info.start_time == 750
    (hostile,) = [run for name, run in parents.items() if name != "text=plain"]
    inside = {
        run.data.params["seed"]: (run.info.status, run.data.tags["seedsweep.status"])
        for run in runs.values()
        if run.data.tags.get("mlflow.parentRunId") == hostile.info.run_id
    }
    assert inside == {"0": ("FINISHED", "diverged"), "1": ("FAILED", "failed"), "2": ("KILLED", "cancelled")}
    assert all("\x1b" not in text and "\n" not in text for run in runs.values() for text in run.data.tags.values())


def test_a_tracking_server_gets_each_job_once_and_what_is_new(here: InProcess) -> None:
    folder = odd_sweep(here.runs, "growing", running=True)
    uri = f"sqlite:///{here.folder / 'mlflow.db'}"
    words = ("export", "growing", "--to", "mlflow", "--tracking-uri", uri)
    assert here.run(*words).out.endswith(f"Exported the 3 of 6 jobs that have ended: {uri}\n")
    # Given an export that was interrupted in its first run
    client = client_of(uri)
    first = runs_of(uri, "growing")["text=plain seed 0"]
    client.update_run(first.info.run_id, status="RUNNING")
    client.set_tag(first.info.run_id, "seedsweep.error", "of an earlier attempt")
    assert here.run(*words).out.endswith("(2 were there already)\n")
    assert here.run(*words).out.endswith("(3 were there already)\n")

    # When the sweep has ended, and another one is exported to the same server
    with folder.exclusive():
        for job in list(folder.manifest().jobs_by_key().values())[3:]:
            end(folder, job)
    printed = here.asked(*words)
    here.run("export", "odd", *words[2:])
    before = runs_of(uri, "growing")
    # Then a third one of the same name, begun elsewhere, is refused,
    manifest = folder.manifest()
    elsewhere = manifest.provenance.model_copy(update={"host": "elsewhere"})
    folder.write_manifest(manifest.model_copy(update={"provenance": elsewhere}))
    assert "growing on the server is of another sweep: rename one of them" in here.refused(*words)

    assert (printed["places"], printed["exported"], printed["known"]) == ([uri], 6, 3)
    runs = runs_of(uri, "growing")
    assert {name: run.to_dictionary() for name, run in runs.items()} == {
        name: run.to_dictionary() for name, run in before.items()
    }
    assert (len(runs), len(runs_of(uri, "odd"))) == (8, 8)
    assert {run.info.status for run in runs.values()} == {"FINISHED", "FAILED", "KILLED"}
    assert runs["text=plain"].data.metrics["n"] == 3
    # What is withdrawn goes, and the figures are those of now.
    with folder.exclusive():
        folder.write_manifest(undone := manifest.with_round(Round(kind="extend", seeds=(7,))).undone())
    # Another export at the same time has written a job and its configuration, too.
    twin = {name: runs[name].data.tags for name in ("text=plain seed 0", "text=plain")}
    for tags in twin.values():
        made = client.create_run(first.info.experiment_id, tags=dict(tags))
        client.set_terminated(made.info.run_id)
    gone = client.create_run(first.info.experiment_id, tags={"seedsweep.job": undone.withdrawn[0].jobs[0]})
    client.log_metric(runs["text=plain"].info.run_id, "rank", 9, step=1)
    here.run(*words)
    assert client.get_run(gone.info.run_id).info.lifecycle_stage == "deleted"
    assert runs_of(uri, "growing")["text=plain"].data.metrics["rank"] == runs["text=plain"].data.metrics["rank"]
    assert len(client.get_metric_history(runs["text=plain seed 0"].info.run_id, "error_rate")) == 2
    assert "seedsweep.error" not in runs["text=plain seed 0"].data.tags
    left = client.search_runs([first.info.experiment_id])
    (kept,) = [run for run in left if run.data.tags.get("seedsweep.job") == first.data.tags["seedsweep.job"]]
    assert (len(left), kept.data.tags["mlflow.parentRunId"] in {run.info.run_id for run in left}) == (8, True)


def test_a_place_of_runs_that_cannot_be_written_is_one_sentence_without_its_password(here: InProcess) -> None:
    (here.folder / "text.db").write_text("This is not a database, but it is long enough to look like one. " * 20)
    places = {
        f"http://me:secret@127.0.0.1:{free_port()}": "http://...@127.0.0.1:",
        f"sqlite:///{here.folder / 'text.db'}": f"sqlite:///{here.folder / 'text.db'} cannot be written: ",
    }
    for uri, shown in places.items():
        printed = here.refused("export", "odd", "--to", "mlflow", "--tracking-uri", uri)
        assert printed.startswith(f"MLflow at {shown}")
        assert "secret" not in printed
        assert "Traceback" not in printed
    assert (here.folder / "text.db").read_text().startswith("This is not a database")


# A tracking server gets the same of a sweep that runs, see above.
@pytest.mark.parametrize("to", sorted(set(MADE) - {"mlflow"}))
def test_a_sweep_that_runs_gives_what_has_ended(to: str, here: InProcess) -> None:
    odd_sweep(here.runs, "a", running=True)
    places = [name.replace("odd", "a", 1) for name in MADE[to]]

    assert here.run("export", "a", "--to", to).out == f"Exported the 3 of 6 jobs that have ended: {', '.join(places)}\n"
    shutil.rmtree(here.folder / places[0], ignore_errors=True)
    assert here.asked("export", "a", "--to", to, "--force") == {
        "name": "a", "format": to, "places": places, "jobs": 6, "exported": 3, "known": 0,
    }  # fmt: skip
    assert names_in(here.folder) == sorted(["runs", *places])


@pytest.mark.parametrize("to", MADE)
def test_what_is_there_stays_and_an_export_that_fails_leaves_nothing(
    to: str, here: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file is not replaced without consent,
    taken = here.folder / MADE[to][-1]
    taken.write_text("mine")
    printed = here.refused("export", "odd", "--to", to)
    assert printed == f"{taken.name} exists: choose another --file, or replace it by --force\n"
    assert taken.read_text() == "mine"
    taken.unlink()

    # and only a file.
    os.mkfifo(taken)
    assert f"{taken.name} is not a file" in here.refused("export", "odd", "--to", to, "--force")
    taken.unlink()
    precious = here.folder / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    (here.folder / "link").symlink_to(precious)
    for file in ("precious", "link"):
        printed = here.refused("export", "odd", "--to", to, "--file", file, "--force")
        assert f"{file} is not a file, and no export replaces it: choose another --file" in printed
    assert names_in(precious) == ["file"]

    printed = here.refused("export", "odd", "--to", to, "--file", "no/such/folder")
    assert printed == "no/such/folder cannot be written: No such file or directory\n"

    # When the results end in the middle of the export
    monkeypatch.setattr(SweepFolder, "rows_of", lambda *_: {})
    assert "No job of the sweep odd has ended yet" in here.refused("export", "odd", "--to", to)
    assert names_in(here.folder) == ["link", "precious", "runs"]


def test_a_link_to_a_file_or_to_nothing_is_replaced_itself(here: InProcess) -> None:
    link, mine = here.folder / "link", here.folder / "mine"
    mine.write_text("mine")
    for there in ("mine", "missing"):
        link.symlink_to(there)
        here.run("export", "odd", "--to", "csv", "--file", "link", "--force")
        assert not link.is_symlink()
        link.unlink()
    assert mine.read_text() == "mine"
    assert names_in(here.folder) == ["link.epochs", "mine", "runs"]


@pytest.mark.parametrize(
    "file", ["odd/results.jsonl", "odd/sweep.json", "odd/weights", "other/results.jsonl", "odd/new.csv"]
)
def test_the_files_of_a_sweep_are_never_replaced(file: str, here: InProcess) -> None:
    odd_sweep(here.runs, "other")
    before = contents(here.folder)

    printed = here.refused("export", "odd", "--to", "csv", "--file", f"runs/{file}", "--force")

    assert f"runs/{file} is in the folder of a sweep, where nothing is exported: choose another" in printed
    assert contents(here.folder) == before


def test_an_export_that_is_interrupted_leaves_nothing(command_line: CommandLine) -> None:
    # Given more jobs than are exported at once
    folder_of(command_line.folder / "runs", dict.fromkeys((0.1, 0.2), [0.5] * 100))
    running = command_line.start("export", "a", "--to", "mlflow")
    wait_for(lambda: list(command_line.folder.glob(".a.mlflow.db.*.tmp")), "the export's temporary folder")

    running.send_signal(signal.SIGINT)

    assert "Traceback" not in command_line.end(running, 130)
    assert names_in(command_line.folder) == ["runs"]
    # A process that MLflow has started may end after the command.
    wait_for(command_line.nothing_is_left, "the end of all processes", report=command_line.left)


@pytest.mark.parametrize(("to", "package"), [(to, each) for to, packages in PACKAGES.items() for each in packages])
def test_without_its_package_a_format_says_how_to_install_it(
    to: str, package: str, here: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    printed = here.refused("export", "odd", "--to", to)

    assert printed.startswith(f"--to {to} needs the package {package}: pip install 'seedsweep[{to}]', or pip install ")
    assert printed.endswith(" in a checkout\n")
    assert names_in(here.folder) == ["runs"]


#: What may come between two names: whatever changes one.
EVENTS = ("os.rename", "os.remove", "os.rmdir")


def put(targets: Sequence[Path], text: str, *, end_at: int | None = None) -> None:
    """Export a text to these files; the process ends at the given event of the last step."""
    with staged(targets, replace=True) as paths:
        for path in paths:
            path.write_text(text)
        seen = itertools.count()

        def watch(event: str, _arguments: object) -> None:
            if event in EVENTS and next(seen) == end_at:
                os.kill(os.getpid(), signal.SIGKILL)

        if end_at is not None:
            sys.addaudithook(watch)


def killed(targets: Sequence[Path], text: str, event: int) -> bool:
    """Export in a process that is killed at this event; return whether there is such an event."""
    child = os.fork()
    if child == 0:
        put(targets, text, end_at=event)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_what_a_killed_export_leaves_is_whole(tmp_path: Path) -> None:
    targets = [tmp_path / name for name in ("a.csv", "a.epochs.csv")]
    states = []
    for event in itertools.count():
        put(targets, "old")
        is_there = killed(targets, "new", event)
        # The earlier export or the new one, and never parts of both.
        (text,) = {each.read_text() for each in targets if each.exists()}
        states.append(text)
        assert targets[0].exists()
        if not is_there:
            break
    assert (set(states), len(states) > 3) == ({"old", "new"}, True)
    # What it left is removed once it is old.
    for left in tmp_path.glob(".*"):
        os.utime(left, (0, 0))
    put(targets, "new")
    assert names_in(tmp_path) == [each.name for each in targets]
