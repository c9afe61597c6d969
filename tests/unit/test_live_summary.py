"""How a sweep stands, as the index of `orchestrator serve` says it, and pages that take a while."""

import asyncio
import gzip
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import seedsweep
from nn.errors import InvalidInputError
from orchestrator.analysis.summary import summary
from orchestrator.cluster.connect import Place
from orchestrator.commands.manage import remove
from orchestrator.commands.watch import cancel
from orchestrator.errors import PageError, SweepBusyError
from orchestrator.folder.activity import Activity
from orchestrator.folder.rows import lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import PROGRESS, QUIET_SECONDS, Sweeps
from orchestrator.live import feed, pages
from orchestrator.live.page import Page
from orchestrator.live.renderer import Renderer
from orchestrator.running.session import Session
from tests.support.paths import contents
from tests.support.sweep_folders import BY_KEY, JOBS, SPECIFICATION, filled, made, row
from worker.settings import Settings


def age(folder: SweepFolder, seconds: float) -> None:
    """Let every file be older."""
    for path in folder.path.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def state(folder: SweepFolder) -> str:
    return summary(folder.path).state


def test_a_sweep_runs_while_its_lock_is_held(folder: SweepFolder) -> None:
    state(folder)
    # Looking has kept nobody out.
    with folder.exclusive():
        assert state(folder) == "running"
        for job in JOBS:
            folder.append(row(job))
        # It may add jobs, as a race does
        assert state(folder) == "running"
    assert state(folder) == "finished"


def test_a_page_shows_one_state_even_if_the_sweep_ends_while_it_is_made(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    show, works = pages.Pages(Sweeps(folder.path.parent)).sweep, ExitStack()
    works.enter_context(folder.exclusive())
    folder.append(row(JOBS[0]))
    folder.keep(PROGRESS, Activity(began=1.0, at=2.0, planned=2, done=2).model_dump_json())

    opened = seedsweep.open(folder.path)

    def end(*found: Any, **live: bool) -> str:
        folder.append(row(JOBS[1]))
        return works.close() or render_main(*found, **live)

    render_main = pages.render_main
    monkeypatch.setattr(pages, "render_main", end)
    text = gzip.decompress(show("a").body).decode()
    assert "Running" in text
    assert "1 of 2 jobs" in text
    assert opened.state == "finished"
    assert "Finished" in gzip.decompress(show("a").body).decode()


def test_a_sweep_of_this_host_that_nobody_holds_has_stopped(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.append(row(JOBS[0]))
    stands = summary(folder.path)
    assert (stands.state, stands.done, stands.planned, stands.over) == ("interrupted", 1, 2, False)
    folder.append(lost_row(JOBS[1], "cancelled", "the sweep was cancelled"))
    stands = summary(folder.path)
    assert (stands.state, stands.done, stands.over) == ("cancelled", 1, True)
    # Without a cluster, nothing is to cancel, unless another process may train it.
    assert cancel(folder, Place(Settings())) == stands
    # Resumed, the cancelled job waits.
    session = Session(folder, folder.manifest(), dict(BY_KEY), Place(Settings()))
    session.keep_own()
    session.try_again()
    stands = summary(folder.path)
    assert (stands.state, stands.done, stands.planned) == ("interrupted", 1, 2)
    with pytest.raises(InvalidInputError, match="has no cluster of its own"):
        cancel(folder, Place(Settings()))
    # It had one when it was asked, which has ended since.
    monkeypatch.setattr("orchestrator.commands.watch.address", "redis+socket://{}".format)
    assert cancel(folder, Place(Settings())) == stands
    # A process that holds it may still begin.
    monkeypatch.undo()
    monkeypatch.setattr("orchestrator.commands.watch.ENDING_SECONDS", 0.2)
    monkeypatch.setattr("orchestrator.commands.watch.LOOK_SECONDS", 0.02)
    said: list[str] = []
    with folder.exclusive(), pytest.raises(InvalidInputError, match="has no cluster of its own"):
        cancel(folder, Place(Settings(), tell=said.append))
    assert said == ["Another process works on a: waiting up to 0.2 s for it to begin or end"]


@pytest.mark.parametrize("lock_is_told", [True, False])
def test_a_sweep_of_another_host_runs_while_something_comes(
    tmp_path: Path, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, lock_is_told: bool
) -> None:
    if not lock_is_told:
        monkeypatch.setattr("orchestrator.folder.locks._LOCKS", tmp_path / "none")
    # Given a sweep of another host, whose processes cannot be seen
    manifest = folder.manifest()
    began = manifest.provenance.model_copy(update={"host": "another-host"})
    folder.write_manifest(manifest.model_copy(update={"provenance": began}))
    folder.append(row(JOBS[0]))
    assert state(folder) == "running"
    # What is refused meanwhile changes nothing, not even an unfinished line.
    with (folder.path / "results.jsonl").open("a") as file:
        file.write("half a row")
    before = contents(folder.path)
    with pytest.raises(SweepBusyError, match="seems to run on another host"):
        remove(folder)
    assert contents(folder.path) == before
    for seconds in (QUIET_SECONDS + 60, -QUIET_SECONDS - 60):
        age(folder, seconds)
        assert state(folder) == "quiet"
    age(folder, 0)
    with folder.exclusive():
        pass

    # All rows are there, and its session has not ended: it may add jobs,
    folder.append(row(JOBS[1]))
    assert state(folder) == "running"
    # until it writes what a session writes at its end.
    (folder.path / "leaderboard.json").write_text("{}")
    assert state(folder) == "finished"


def test_a_version_changes_with_rows_lock_and_silence_and_with_nothing_else(tmp_path: Path) -> None:
    folder, sweeps = made(tmp_path), Sweeps(tmp_path)
    seen = [sweeps.versions("a")]

    def changes() -> bool:
        seen.append(sweeps.versions("a"))
        return seen[-1] not in seen[:-1]

    (folder.path / "report.html").write_text("a page that somebody wrote")
    assert not changes()
    folder.append(row(JOBS[0]))
    assert changes()
    with folder.exclusive():
        assert changes()
    age(folder, QUIET_SECONDS + 60)
    assert changes()


def test_the_sweeps_that_changed_last_come_first(tmp_path: Path) -> None:
    for name, seconds in (("old", 300.0), ("new", 0.0), ("older", 400.0), ("wrong", -1e9)):
        age(made(tmp_path, name), seconds)
    (tmp_path / "no-sweep").mkdir()
    (tmp_path / ".hidden").mkdir()
    assert Sweeps(tmp_path).names() == ["new", "old", "older", "wrong"]
    assert Sweeps(tmp_path, "old").names() == ["old"]


def test_a_strangers_leaderboard_gives_numbers_or_nothing(tmp_path: Path) -> None:
    folder = filled(tmp_path, SPECIFICATION, row)
    told = json.dumps({"sentence": "Use it.", "mean": 0.5, "low": None, "high": 0.6}, indent=1)
    for mean, means in (("0.5", [(0.5, None, 0.6)]), ("1e999", []), ("9" * 5000, [])):
        text = told.replace(": 0.5", f": {mean}") + '"status": "succeeded",  "score": 0.5'
        (folder.path / "leaderboard.json").write_text(text)
        assert (summary(folder.path).sentence, summary(folder.path).means) == ("Use it.", means)


def test_pages_that_are_being_made_are_bounded_and_who_leaves_ends_no_other_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        ready = asyncio.Event()

        async def page(_renderer: Renderer, name: str | None) -> Page:
            await ready.wait()
            if name == "b" and problems:
                raise problems.pop()
            return Page(str(name), "", partial=False, seconds=0.0, body=b"")

        monkeypatch.setattr(Renderer, "page", page)
        feeds = feed.Feeds(Sweeps(tmp_path))
        left, waits = [asyncio.create_task(feeds.feed("a").page()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(PageError, match="1 pages are being made already"):
            feeds.feed("b")
        left.cancel()
        ready.set()
        assert (await waits).version == "a"
        # A page that cannot be made is tried again, though the files are the same.
        found = [await asyncio.gather(feeds.feed("b").page(), return_exceptions=True) for _ in range(2)]
        assert [type(each) for [each] in found] == [PageError, Page]

    problems = [PageError("It has ended")]
    monkeypatch.setattr(feed, "INTERVAL", 0.0)
    monkeypatch.setattr(feed, "REST", 0.0)
    monkeypatch.setattr(feed, "MOST_KEPT", 1)
    made(tmp_path)
    made(tmp_path, "b")
    asyncio.run(ask())
