"""Who gets what from `orchestrator serve`: names, origins, tokens, methods, paths, links, bounds."""

import contextlib
import http.client
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.folder.sweeps import Sweeps
from orchestrator.live.server import MAX_BODY_BYTES, MAX_HEADER_BYTES, MOST_CONNECTIONS, Server
from tests.support.boards import folder_of
from tests.support.command_line import CommandLine, command_line_in
from tests.support.live_server import Client, LiveServer, Serve, servers, whole_index
from tests.support.memory import at_most
from tests.support.waiting import wait_for

TOKEN = "a-token-of-our-own-0123456789"
#: What every answer has, also one that refuses.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


HOSTILE = "<img src=x onerror=alert(1)>\"'\u202egnp.exe\x1b[2J</script><script>alert(2)</script>"


def put(line: CommandLine) -> Path:
    """Put a sweep `s` that nobody has trained into the folder, with a file of weights, and return the output folder."""
    runs = line.folder / "runs"
    folder = folder_of(runs, {0.1: [0.5, 0.51]}, "s")
    for key in folder.manifest().jobs:
        folder.weights_path(key).parent.mkdir(exist_ok=True)
        folder.weights_path(key).write_bytes(b"weights")
    (folder.path / "leaderboard.json").write_text("{}")
    return runs


@pytest.fixture
def serve(serve: Serve, command_line: CommandLine) -> Serve:
    """Starts servers of one finished sweep, `s`."""
    put(command_line)
    return serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[LiveServer]:
    """A server that tests share, of a folder in which are a finished sweep, links, and what strangers have left."""
    with command_line_in(tmp_path_factory.mktemp("shared"), cache_dir) as line:
        runs = put(line)
        _link(runs, line.folder / "outside")
        _leave(runs)
        with servers(line) as start:
            yield start()


def _link(runs: Path, outside: Path) -> None:
    shutil.copytree(runs / "s", outside / "private")
    (runs / "linked").symlink_to(outside / "private")
    for part in ("sweep.json", "results.jsonl", "weights"):
        name = f"partly-{part.partition('.')[0]}"
        shutil.copytree(runs / "s", runs / name)
        shutil.rmtree(runs / name / part) if part == "weights" else (runs / name / part).unlink()
        (runs / name / part).symlink_to(outside / "private" / part)
    shutil.copytree(runs / "s", runs / "single-weights")
    for file in (runs / "single-weights" / "weights").iterdir():
        file.unlink()
        file.symlink_to(outside / "private" / "weights" / file.name)
    # Within the folder, a link is what it seems
    (runs / "same").symlink_to("s")


def _leave(runs: Path) -> None:
    for name in ("x", "empty", "pipe", HOSTILE.replace("/", "")):
        (runs / name).mkdir()
    (runs / "x" / "sweep.json").write_text(HOSTILE)
    os.mkfifo(runs / "pipe" / "sweep.json")
    shutil.copytree(runs / "s", runs / "large")
    with (runs / "large" / "results.jsonl").open("ab") as file:
        file.truncate(2**40)


def test_requests_are_refused_by_name_origin_method_and_path(server: LiveServer) -> None:
    port = server.port
    page = server.get("/s")
    assert page.status == 200
    assert page.headers.items() >= HEADERS.items()
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy

    # The names of this machine's loopback, and no other: a page of a name that was made to lead here gets nothing
    for host in ("127.0.0.1", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}", "localhost."):
        assert server.get("/s", Host=host).status == 200, host
    evil = ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.1", "localhost:x", "", "a@b")
    for host in evil:
        refused = server.get("/s", Host=host)
        assert refused.status in (400, 403), host
        assert "verdict" not in refused.text
    assert server.get("/-/health", Host="evil.example").status == 403

    # Pages of this server, links and addresses that somebody types; no page of another origin
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}
    assert server.get("/s", **own).status == 200
    assert server.get("/s", Sec_Fetch_Site="none").status == 200
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert server.get("/s", **link).status == 200
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {**link, "Sec_Fetch_Dest": "iframe"},
        {**link, "Sec_Fetch_Mode": "no-cors"},
    ):
        for path in ("/", "/s", "/nothing"):
            refused = server.get(path, **headers)
            assert refused.status == 403, (path, headers)
            assert refused.headers.items() >= HEADERS.items()

    # Nothing but GET and HEAD
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"):
        refused = server.get("/s", method)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD"), method
    head = server.get("/s", "HEAD")
    assert (head.status, head.text, head.headers["Content-Length"]) == (200, "", str(len(page.text.encode())))

    # No way out of the folder
    for path in (
        "/..", "/../s", "/s/..", "/s/../s", "/%2e%2e/%2e%2e/etc/passwd", "/..%2fs", "//s", "/s/sweep.json",
        "/s/weights", "/.s", "/s%00", "/s\\", "/s%0d%0aX:1", "/" + "a" * 101, "/s/x", "/-/",
        "/s?x=/../../etc/passwd" + "/s",
    ):  # fmt: skip
        found = server.get(path)
        assert found.status == (200 if "?" in path else 404), path
        assert "root:" not in found.text
    assert "Traceback" not in server.log
    # What somebody sends does not act on the terminal
    assert "\x1b" not in server.log


def raw(server: Client, request: str | bytes) -> bytes:
    """Send a request as it is, and return all that comes back before the connection ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        found = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(request.encode() if isinstance(request, str) else request)
            while part := client.recv(65536):
                found += part
        return found


def test_what_is_too_large_or_no_http_is_refused(server: LiveServer) -> None:
    begin, host = "GET / HTTP/1.1\r\nConnection: close\r\n", "Host: localhost\r\n"
    large = MAX_BODY_BYTES + 1
    chunk = 10 * MAX_BODY_BYTES
    for request in (
        f"{begin}{host}X: {'x' * MAX_HEADER_BYTES}\r\n\r\n",
        f"{begin}{host}Content-Length: {large}\r\n\r\n{'x' * large}",
        f"{begin}{host}Transfer-Encoding: chunked\r\n\r\n{chunk:x}\r\n{'x' * chunk}\r\n0\r\n\r\n",
        f"{begin}\r\n",
        f"{begin}{host}Host: evil.example\r\n\r\n",
        "GET http://evil.example/s HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ):
        assert b"200 OK" not in raw(server, request), request[:100]
    assert server.get("/s").status == 200
    assert "Traceback" not in server.log


@pytest.fixture
def bounded(command_line: CommandLine) -> Iterator[Client]:
    """A server in this process, whose system takes little of what is sent."""
    server = Server(Sweeps(put(command_line)), host="127.0.0.1", port=0)
    server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with server.running():
        yield Client(server.sockets[0].getsockname()[1])


def test_connections_are_bounded_and_those_that_are_there_go_on(bounded: Client) -> None:
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", bounded.port)))
        for _ in range(2):
            reader.request("GET", "/s")
            assert b"verdict" in reader.getresponse().read()
            # Connections that say nothing take the places that are left
            for _ in range(MOST_CONNECTIONS):
                stack.enter_context(socket.create_connection(("127.0.0.1", bounded.port)))
            wait_for(lambda: _is_refused(bounded), "a connection too many")
    assert wait_for(lambda: not _is_refused(bounded), "the next reader")


def _is_refused(server: Client) -> bool:
    ask = f"GET /-/health HTTP/1.1\r\nHost: localhost:{server.port}\r\nConnection: close\r\n\r\n"
    return raw(server, ask) == b""


def test_a_reader_who_takes_nothing_holds_nobody_up(serve: Serve, command_line: CommandLine) -> None:
    server = serve()
    # Many pages at once, and none of them read
    with _asks(server, 50):
        known = server.version("/s")
        (command_line.sweep("s") / "results.jsonl").write_text("")
        wait_for(lambda: server.version("/s") != known, "another page")
        assert server.get("/s").status == 200


def _asks(server: Client, requests: int, path: str = "/s") -> socket.socket:
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    slow.connect(("127.0.0.1", server.port))
    slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode() * requests)
    return slow


def test_slow_readers_share_a_page(bounded: Client, command_line: CommandLine) -> None:
    folder_of(command_line.folder / "runs", {0.1: [0.5] * 500}, "large")
    size = len(bounded.get("/large").text)
    with at_most(50 * size // 2), contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(_asks(bounded, 1, "/large"))
            bounded.get("/-/health")


def test_a_reader_who_has_left_gets_no_more_answers(serve: Serve) -> None:
    server = serve()
    server.get("/s")
    _asks(server, 200).close()
    # Tornado answers one request of each connection in turn
    for _ in range(150):
        server.get("/-/health")
    assert server.log.count("GET /s ") < 100


def test_beyond_loopback_a_token_is_needed(serve: Serve) -> None:
    server = serve("--host", "0.0.0.0")  # noqa: S104 - that is what is tested
    assert len(server.token) >= 43
    address = server.said["address"]
    assert re.fullmatch(rf"http://[^/]+:{server.port}/\?token={server.token}", address)
    for path in ("/", "/s", "/nothing", "/?token=", f"/s?token={server.token[:-1]}x"):
        refused = server.get(path)
        assert refused.status == 401, path
        assert "verdict" not in refused.text
    assert server.get("/s", Cookie=f"seedsweep={server.token}").status == 401
    assert server.get("/-/health").text == "alive\n"

    entered = server.get(f"/s?token={server.token}")

    # The token goes into a cookie, and out of the address
    assert (entered.status, entered.headers["Refresh"]) == (200, "0; url=/s")
    assert "verdict" not in entered.text
    cookie, _, rest = entered.headers["Set-Cookie"].partition(";")
    assert {word.strip() for word in rest.split(";")} == {"HttpOnly", "Path=/", "SameSite=Strict"}
    page = server.get("/s", Cookie=cookie)
    assert page.status == 200
    assert server.token not in page.text
    # No address of another server can be made of ours
    assert server.get(f"//evil.example?token={server.token}").headers["Refresh"] == "0; url=/"
    # By any address of this machine, and by no name that is not its own
    assert server.get("/s", Cookie=cookie, Host="10.1.2.3:80").status == 200
    assert server.get("/s", Cookie=cookie, Host=f"{socket.gethostname()}:80").status == 200
    assert server.get("/s", Cookie=cookie, Host="evil.example").status == 403
    assert server.get(f"/s?token={server.token}", Host="evil.example").status == 403

    # It is said once, at the start, and stands in no line of the log
    assert "GET /s 200" in server.log
    assert server.token not in server.log


def test_a_token_of_ones_own_is_not_printed(serve: Serve, command_line: CommandLine) -> None:
    (command_line.folder / "token").write_text(f"{TOKEN}\n")
    server = serve("--token-file", "token", "--allow-host", "Sweeps.example.org")

    assert server.said["address"] == f"http://127.0.0.1:{server.port}/"
    assert server.get("/s").status == 401
    cookie = server.get(f"/?token={TOKEN}").headers["Set-Cookie"].partition(";")[0]
    assert server.get("/s", Cookie=cookie, Host="sweeps.example.org").status == 200
    assert TOKEN not in server.log


def test_no_token_is_given_to_a_browser(serve: Serve, command_line: CommandLine) -> None:
    (command_line.folder / "token").write_text(f"{TOKEN}\n")
    opened = command_line.folder / "opened"
    browser = command_line.folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    command_line.environment |= {"BROWSER": str(browser)}
    for words in (["--token-file", "token"], ["--host", "0.0.0.0"]):  # noqa: S104 - that is what is tested
        server = serve("--open", *words)
        wait_for(lambda log=server: "--open opens no page that wants a token" in log.log, "why no page is opened")
    # Without a token, it is opened.
    server = serve("--open")
    wait_for(lambda: opened.exists() and opened.read_text() == server.said["address"], "the browser")


def test_links_do_not_lead_out_of_the_folder(server: LiveServer) -> None:
    assert server.get("/same").status == 200
    for name in ("linked", "partly-sweep", "partly-results", "partly-weights"):
        refused = server.get(f"/{name}")
        assert refused.status == 404, name
        why = "leads out of runs, where no page looks" if name == "linked" else "A link out of its folder"
        assert why in refused.text
    assert "are unreadable (A link out of its folder)" in server.get("/single-weights").text
    index = whole_index(server)
    assert (index.count("leads out of runs"), index.count("A link out of its folder")) == (1, 3)
    # A single file of weights is looked at for the page of its sweep only.
    assert index.count("finished</td>") == 3


def test_a_hostile_folder_is_text(server: LiveServer) -> None:
    index = whole_index(server)
    assert "<img" not in index
    assert "<script>alert" not in index
    assert "\x1b" not in index
    assert "\u202e" not in index
    for name in ("x", "pipe", "large"):
        assert f'id="sweep-{name}"' in index
        assert server.get(f"/{name}").status == 404
    assert "more than the rows of 2 jobs can have" in server.get("/large").text
    assert server.get("/empty").status == 404
    assert server.get("/s").status == 200


def test_nothing_of_a_sweep_is_in_the_answer_for_another_machine(server: LiveServer) -> None:
    # Only loopback answers: the port of another address of this machine is closed.
    others = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in others - {"127.0.0.1"}:
        if not address.startswith("127."):
            with socket.socket() as client:
                assert client.connect_ex((address, server.port)) != 0
