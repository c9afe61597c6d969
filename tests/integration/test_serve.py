"""`orchestrator serve`: what a browser gets while sweeps begin, run, end and vanish."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import QUICK, SMALL, CommandLine, small
from tests.support.live_server import Answer, LiveServer, Serve, put, released, servers, wait_until_gone
from tests.support.waiting import wait_for

#: Jobs that together take longer than a few pages, also on a busy machine.
LASTING = small(seeds="0-7", epochs="20", limit="12000")


@pytest.fixture
def serve(command_line: CommandLine) -> Iterator[Serve]:
    with servers(command_line) as start:
        yield start


def whole_index(server: LiveServer) -> Answer | None:
    page = server.get("/")
    return page if "are being read" not in page.text else None


def test_the_index_lists_every_sweep_with_its_state(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "done", SMALL)
    put(command_line, "cut", SMALL)
    lines = (command_line.sweep("cut") / "results.jsonl").read_text().splitlines(keepends=True)
    (command_line.sweep("cut") / "results.jsonl").write_text("".join(lines[:3]))
    command_line.sweep("broken").mkdir()
    (command_line.sweep("broken") / "sweep.json").write_text("{}")
    command_line.sweep("no-sweep").mkdir()
    server = serve()
    assert server.get("/").status == 200

    # On a busy machine, the first index has not read every sweep.
    page = wait_for(lambda: whole_index(server), "the whole index")

    rows = dict(re.findall(r'<tr id="sweep-([\w-]+)">(.*?)</tr>', page.text, re.DOTALL))
    assert sorted(rows) == ["broken", "cut", "done"]
    assert "finished</td>" in rows["done"]
    assert "4 of 4" in rows["done"]
    assert "Use " in rows["done"] or "ndecided" in rows["done"]
    assert "interrupted</td>" in rows["cut"]
    assert "3 of 4" in rows["cut"]
    assert "damaged</td>" in rows["broken"]
    assert "does not describe a sweep" in rows["broken"]


def test_a_page_shows_the_best_network_and_looks_again_when_its_weights_are_back(
    command_line: CommandLine, serve: Serve
) -> None:
    # Given a sweep whose weights are elsewhere
    command_line.finished("s", *SMALL)
    weights = command_line.sweep("s") / "weights"
    weights.rename(command_line.folder / "elsewhere")
    server = serve()
    # Then its page says how to get them
    assert "4 jobs whose weights are missing" in server.get("/s").text
    # And when they are back, and something has changed, it has the network
    (command_line.folder / "elsewhere").rename(weights)
    results = command_line.sweep("s") / "results.jsonl"
    results.write_bytes(results.read_bytes())
    wait_for(lambda: 'class="confusion"' in server.get("/s").text, "the confusion matrix")


def test_the_page_of_a_copy_shows_the_network_against_the_rows_of_the_copy(
    command_line: CommandLine, serve: Serve
) -> None:
    command_line.finished("s", *SMALL)
    shutil.copytree(command_line.sweep("s"), command_line.sweep("copy"))
    results = command_line.sweep("copy") / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    max(rows, key=lambda row: row["validation_score"][-1])["validation_score"][-1] = 0.999
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    server = serve()
    assert "Against its row" not in server.get("/s").text
    assert "Against its row" in server.get("/copy").text
    assert "Against its row" not in server.get("/s").text


@pytest.mark.slow(reason="follows a sweep to its end")
def test_a_running_sweep_is_shown_to_its_end(command_line: CommandLine, serve: Serve) -> None:
    (command_line.folder / "runs").mkdir()
    server = serve()
    sweep = command_line.start("sweep", *LASTING, "--name", "s", "--workers", "1")
    command_line.wait_for_rows("s", 1, sweep)
    first = server.get("/s")
    assert "Running" in first.text
    assert "running</td>" in wait_for(lambda: whole_index(server), "the whole index").text

    with server.news("/s/events") as one, server.news("/s/events") as two:
        for news in (one, two):
            last = news.until("over", True)
            versions = [told["version"] for _, told in news.heard]
            assert len(set(versions)) == len(versions) >= 2
        # Both were told of the same pages.
        assert [told for _, told in one.heard][-2:] == [told for _, told in two.heard][-2:]

    sweep.communicate()
    page = server.get("/s").text
    assert "Finished. This page does not change any more." in page
    assert f'data-version="{last["version"]}"' in page
    assert "finished</td>" in wait_for(lambda: whole_index(server), "the whole index").text


def test_there_is_at_most_one_update_a_second(command_line: CommandLine, serve: Serve) -> None:
    # Given a sweep of which only the first row is there
    command_line.finished("s", *small(seeds="0-9"))
    results = command_line.sweep("s") / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text(lines[0])
    server = serve()
    server.get("/s")
    with server.news("/s/events") as news:
        began = time.monotonic()
        news.next()
        # When the others come, many in a second
        for line in lines[1:]:
            with results.open("a") as file:
                file.write(line)
            time.sleep(0.05)
        # Then the reader hears of the last one, and of few of the others
        news.until("over", True)
        assert len({told["version"] for _, told in news.heard}) == len(news.heard) >= 2
        assert len(news.heard) <= time.monotonic() - began + 2


def test_nothing_is_made_while_nobody_looks(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "s", QUICK)
    server = serve()
    # Not even the process that makes pages is there
    assert server.children() == []
    server.get("/s")
    (maker,) = server.children()
    with server.news("/s/events") as news:
        news.next()

    # The sweep changes, after the reader has left
    before = maker.cpu_times()
    for _ in range(30):
        (command_line.sweep("s") / "results.jsonl").touch()
        time.sleep(0.1)
    assert maker.cpu_times() == before


def test_a_sweep_is_deleted_and_comes_back(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "other", QUICK)
    put(command_line, "s", SMALL)
    aside = command_line.folder / "aside"
    server = serve()
    with server.news("/s/events") as news, server.news("/other/events") as others:
        known = news.next()["version"]
        other = others.next()["version"]

        command_line.sweep("s").rename(aside)
        assert "no sweep" in news.until("version", None)["problem"]
        gone = server.get("/s")
        assert (gone.status, gone.text) == (404, "There is no sweep 's' in runs.\n")
        assert 'id="sweep-s"' not in server.get("/").text
        assert server.get("/other").status == 200

        aside.rename(command_line.sweep("s"))
        assert news.until("version", known)["problem"] == ""

        # Another sweep takes its name
        shutil.rmtree(command_line.sweep("s"))
        put(command_line, "s", QUICK)
        while (told := news.next())["version"] in (known, None):
            pass
        assert f'data-version="{told["version"]}"' in server.get("/s").text
        assert {told["version"] for _, told in others.heard} == {other}
    assert "Traceback" not in server.log


def test_a_damaged_row_costs_that_row_only(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "s", SMALL)
    results = command_line.sweep("s") / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join([lines[0], '{"job": 1}\n', "\0\0\n", lines[1][:40]]))
    server = serve()

    assert "1 of 4" in server.get("/").text
    assert server.get("/s").status == 200


def test_one_sweep_alone(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "a", SMALL)
    put(command_line, "b", QUICK)
    server = serve("runs/a")

    assert server.said["address"].endswith("/a")
    assert server.get("/a").status == 200
    assert (server.get("/").status, server.get("/").headers["Location"]) == (302, "/a")
    assert server.get("/b").status == server.get("/b/events").status == server.get("/-/events").status == 404
    assert "All sweeps" not in server.get("/a").text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once(command_line: CommandLine, serve: Serve, number: int) -> None:
    put(command_line, "s", QUICK)
    server = serve()
    server.get("/s")
    processes = server.children()
    assert processes
    with server.news("/s/events") as news, socket.create_connection(("127.0.0.1", server.port)) as idle:
        news.next()
        assert server.stop(number) == 0
        assert news.ended.wait(10)
        # Reset, if the server had not accepted it yet
        with contextlib.suppress(ConnectionResetError):
            assert idle.recv(1) == b""
    wait_until_gone(processes)
    assert released(server.port)
    assert command_line.nothing_is_left()
    assert "Traceback" not in server.log


def test_a_browser_finds_it_again_after_a_restart(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "s", QUICK)
    server = serve()
    with server.news("/s/events") as news:
        before = news.next()
    server.stop()
    again = serve(port=server.port)
    with again.news("/s/events") as news:
        # The page has not changed, so a browser need not fetch it.
        assert news.next() == before


def test_the_process_that_makes_pages_may_die(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "s", QUICK)
    server = serve()
    assert server.get("/s").status == 200
    (maker,) = server.children()
    maker.kill()
    maker.wait(timeout=10)

    (command_line.sweep("s") / "results.jsonl").touch()
    assert wait_for(lambda: server.get("/s").status == 200, "a page by another process")


BAD = [
    (["--port", "0x50"], "--port is '0x50'; allowed: an integer from 0 to 65535; 0 means any free port"),
    (["--port", "65536"], "--port is '65536'"),
    (["--port", ""], "--port is ''"),
    (["--port", "-1"], "--port is '-1'"),
    (["--host", "256.0.0.1"], "--host is '256.0.0.1'; allowed: an address of this machine, such as 127.0.0.1, or"),
    (["--host", "192.0.2.1"], "--host is '192.0.2.1'; allowed: an address of this machine"),
    (["--host", ""], "--host is ''"),
    (["--host", "no.such.host.invalid"], "--host is 'no.such.host.invalid'"),
    (["--output", "nowhere"], "There is no folder nowhere: --output names the folder that holds the sweeps"),
    (["nosuch"], "There is no sweep 'nosuch': neither a sweep folder nor a name in runs"),
    (["--allow-host", "a/b"], "--allow-host is 'a/b'; allowed: the name of a host"),
    (["--token-file", "nowhere"], "--token-file is 'nowhere' (No such file or directory); allowed: the path of a file"),
    (
        ["--token-file", "short"],
        "--token-file is 'short' with something else; allowed: a file with at least 16 letters",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_bad_input_is_one_sentence(command_line: CommandLine, words: list[str], sentence: str) -> None:
    (command_line.folder / "runs").mkdir()
    (command_line.folder / "short").write_text("short\n")
    done = command_line.run("serve", "--port", "0", *words, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith(f"orchestrator: {sentence}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken(command_line: CommandLine) -> None:
    (command_line.folder / "runs").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = command_line.run("serve", "--port", str(port), status=2)
    assert (
        done.stderr
        == f"orchestrator: --port is {port}; allowed: a port that no other program uses, or 0 for any free one\n"
    )


def test_without_a_browser_the_address_is_said(command_line: CommandLine, serve: Serve) -> None:
    (command_line.folder / "runs").mkdir()
    command_line.environment |= {"PATH": "/nowhere", "BROWSER": "/nowhere/browser"}
    server = serve("--open")
    wait_for(
        lambda: f"There is no browser to open; the address is {server.said['address']}" in server.log, "the address"
    )


def test_people_are_told_where_it_is(command_line: CommandLine) -> None:
    (command_line.folder / "runs").mkdir()
    process = command_line.start("serve", "--port", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Serving runs at http://127.0.0.1:")
    process.terminate()
    assert process.wait(timeout=30) == 0


def test_nothing_is_written(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "s", QUICK)

    def state() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in Path(command_line.folder).rglob("*"))

    before = state()
    server = serve()
    for path in ("/", "/s"):
        assert server.get(path).status == 200
    with server.news("/s/events") as news:
        news.next()
    server.stop()
    assert state() == before


def test_programs_are_told_where_it_is(command_line: CommandLine, serve: Serve) -> None:
    (command_line.folder / "runs").mkdir()
    server = serve()
    assert server.said == {"address": f"http://127.0.0.1:{server.port}/", "folder": "runs", "sweep": None}
