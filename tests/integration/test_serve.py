"""`orchestrator serve`: what a browser gets while sweeps begin, run, end and vanish."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.boards import folder_of
from tests.support.command_line import SMALL, CommandLine, command_line_in
from tests.support.live_server import LiveServer, Serve, servers, whole_index
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[CommandLine]:
    """The folder of the shared server: each test uses sweeps of its own names."""
    with command_line_in(tmp_path_factory.mktemp("shared"), cache_dir) as made:
        (made.folder / "runs").mkdir()
        yield made


@pytest.fixture(scope="module")
def server(line: CommandLine) -> Iterator[LiveServer]:
    """A server that tests share: importing what its pages need takes a second of a processor."""
    with servers(line) as start:
        yield start()


def put(line: CommandLine, name: str, seeds: int = 2) -> list[str]:
    """Put a sweep of this host that nobody has trained into the folder, and return the lines of its rows."""
    scores = [0.5 + seed / 100 for seed in range(seeds)]
    folder = folder_of(line.folder / "runs", {0.1: scores, 0.2: scores}, name)
    return (folder.path / "results.jsonl").read_text().splitlines(keepends=True)


def results(line: CommandLine, name: str) -> Path:
    return line.sweep(name) / "results.jsonl"


def test_the_index_lists_every_sweep_with_its_state(line: CommandLine, server: LiveServer) -> None:
    put(line, "done")
    # Given a sweep with a row that was cut off and two that are not rows, which nobody continues
    rows = put(line, "cut")
    results(line, "cut").write_text("".join([rows[0], '{"job": 1}\n', "\0\0\n", rows[1][:40]]))
    line.sweep("broken").mkdir()
    (line.sweep("broken") / "sweep.json").write_text("{}")
    line.sweep("no-sweep").mkdir()

    index = wait_for(lambda: "sweep-cut" in (text := whole_index(server)) and text, "the sweeps")

    found = dict(re.findall(r'<tr id="sweep-([\w-]+)">(.*?)</tr>', index, re.DOTALL))
    assert found.keys() >= {"done", "cut", "broken"}
    assert "no-sweep" not in found
    assert "finished</td>" in found["done"]
    assert "4 of 4" in found["done"]
    assert "Use " in found["done"] or "ndecided" in found["done"]
    assert "interrupted</td>" in found["cut"]
    assert re.search(r">20\d\d-\d\d-\d\d \d\d:\d\d UTC</time></td>\n<td[^>]*>\d+ kB</td>", found["cut"])
    assert "1 of 4" in found["cut"]
    assert "damaged</td>" in found["broken"]
    assert "does not describe a sweep" in found["broken"]
    assert server.get("/cut").status == 200


def test_a_page_shows_the_best_network_beside_its_row(line: CommandLine, server: LiveServer) -> None:
    # Given a sweep whose weights are elsewhere
    line.finished("s", *SMALL)
    weights = line.sweep("s") / "weights"
    weights.rename(line.folder / "elsewhere")
    # Then its page says how to get them
    assert "This trains its job again" in server.get("/s").text
    # And when they are back, and something has changed, it has the network
    (line.folder / "elsewhere").rename(weights)
    results(line, "s").write_bytes(results(line, "s").read_bytes())
    wait_for(lambda: 'class="confusion"' in server.get("/s").text, "the confusion matrix")

    # Given a copy whose row says more than its network
    shutil.copytree(line.sweep("s"), line.sweep("copy"))
    rows = line.rows("copy")
    max(rows, key=lambda row: row["validation_score"][-1])["validation_score"][-1] = 0.999
    results(line, "copy").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # Then the page of the copy says so, and no other page
    assert "Against its row" not in server.get("/s").text
    assert "Against its row" in server.get("/copy").text
    assert "Against its row" not in server.get("/s").text


def test_there_is_at_most_one_update_a_second(line: CommandLine, server: LiveServer) -> None:
    # Given a sweep of which only the first row is there
    first, *others = put(line, "many", seeds=10)
    results(line, "many").write_text(first)
    versions, began = {server.version("/many")}, time.monotonic()
    # When the others come, many in a second
    for row in others:
        with results(line, "many").open("a") as file:
            file.write(row)
        time.sleep(0.05)
        versions.add(server.version("/many"))
    # Then the reader sees the last one, and few of the others
    wait_for(lambda: "does not change any more" in server.get("/many").text, "the last row")
    assert 1 <= len(versions) <= time.monotonic() - began + 2


def test_a_sweep_is_deleted_and_another_takes_its_name(line: CommandLine, server: LiveServer) -> None:
    put(line, "other")
    put(line, "gone")
    known, other = server.version("/gone"), server.version("/other")
    shutil.rmtree(line.sweep("gone"))
    gone = server.get("/gone")
    assert (gone.status, gone.text) == (404, "There is no sweep 'gone' in runs.\n")
    wait_for(lambda: 'id="sweep-gone"' not in server.get("/").text, "an index without it")
    put(line, "gone", seeds=3)
    wait_for(lambda: server.version("/gone") not in (known, None), "its page")
    assert server.version("/other") == other
    assert "Traceback" not in server.log


def test_the_process_that_makes_pages_may_die(line: CommandLine, server: LiveServer) -> None:
    put(line, "outlasts")
    assert server.get("/outlasts").status == 200
    for maker in server.children():
        maker.kill()
        maker.wait(timeout=10)

    results(line, "outlasts").touch()
    assert wait_for(lambda: server.get("/outlasts").status == 200, "a page by another process")


def test_a_server_works_on_demand_and_writes_nothing_and_ends_at_once(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "s")

    def state() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in command_line.folder.rglob("*"))

    before = state()
    server = serve()
    assert server.said == {"address": f"http://127.0.0.1:{server.port}/", "folder": "runs", "sweep": None}
    # Before anybody looks, not even the process that makes pages is there.
    assert server.children() == []
    assert server.get("/").status == server.get("/s").status == 200
    known = {"If_None_Match": f'W/"{server.version("/s")}"'}
    assert state() == before

    _ends(server, signal.SIGTERM)
    # A browser finds the next server, and as the page has not changed, it need not fetch it.
    again = serve(port=server.port)
    unchanged = again.get("/s", **known)
    assert (unchanged.status, unchanged.text) == (304, "")

    _ends(again, signal.SIGINT)
    assert command_line.nothing_is_left()


def _ends(server: LiveServer, number: int) -> None:
    """Check that a server ends at once while somebody is connected."""
    processes = server.children()
    assert processes
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        assert server.stop(number) == 0
        # Reset, if the server had not accepted it yet
        with contextlib.suppress(ConnectionResetError):
            assert idle.recv(1) == b""
    wait_for(lambda: not [each for each in processes if each.is_running()], "the end of the server's processes")
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", server.port)) != 0
    assert "Traceback" not in server.log


def test_one_sweep_alone(command_line: CommandLine, serve: Serve) -> None:
    put(command_line, "a")
    put(command_line, "b")
    server = serve("runs/a")

    assert server.said["address"].endswith("/a")
    assert server.get("/a").status == 200
    for path in ("/", "/-/compare/a/a"):
        assert (server.get(path).status, server.get(path).headers["Location"]) == (302, "/a")
    assert server.get("/b").status == 404
    assert "All sweeps" not in server.get("/a").text


def test_a_port_that_is_taken(command_line: CommandLine) -> None:
    (command_line.folder / "runs").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = command_line.run("serve", "--port", str(port), status=2)
    assert (
        done.stderr
        == f"orchestrator: --port is {port}; allowed: a port that no other program uses, or 0 for any free one\n"
    )


def test_people_are_told_where_it_is_also_without_a_browser(command_line: CommandLine) -> None:
    (command_line.folder / "runs").mkdir()
    nowhere = {"PATH": "/nowhere", "BROWSER": "/nowhere/browser"}
    process = command_line.start("serve", "--port", "0", "--open", **nowhere)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said.startswith("Serving runs at http://127.0.0.1:")
    address = re.findall(r"http://[^\s;]+", said)[0]
    assert any(f"There is no browser to open; the address is {address}" in each for each in process.stdout)
    process.terminate()
    assert process.wait(timeout=30) == 0


def test_a_server_that_ends_while_a_page_is_made_leaves_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "orchestrator.live.renderer", "0", json.dumps([str(tmp_path), None, None])]
    read, write = os.pipe()
    os.close(read)
    with contextlib.closing(os.fdopen(write, "wb")) as answers:
        ended = subprocess.run(
            command, input=b'["index", [], 0, false]\n', stdout=answers, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
