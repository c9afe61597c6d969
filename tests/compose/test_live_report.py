"""The live report of the containers: it shows the sweeps of the volume to who has the token, and reaches no Redis."""

import pytest

from tests.support import web
from tests.support.compose import Compose, docker
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SMALL = ("--seeds", "0-2", "--learning-rates", "0.01,0.1", "--epochs", "2", "--limit", "2000")
#: Jobs of some seconds, so that there is something to see while the sweep runs.
LASTING = ("--seeds", "20-27", "--learning-rates", "0.03,0.05", "--epochs", "10", "--limit", "10000", "--no-reuse")


def ask(compose: Compose, path: str, token: str | None = None, **headers: str) -> tuple[int, str]:
    """Ask for a page as a browser that has the token; return the HTTP status and what came."""
    if token is not None:
        entered = web.ask(compose.report_port, f"/?token={token}")
        headers["Cookie"] = entered.headers["Set-Cookie"].partition(";")[0]
    answer = web.ask(compose.report_port, path, **headers)
    return answer.status, answer.text


@pytest.fixture(autouse=True, scope="module")
def _workers(compose: Compose) -> None:
    """Given workers, which the tests before may have stopped."""
    compose.up(2, "--no-recreate")


@pytest.fixture
def token(compose: Compose) -> str:
    return compose.shown()["report"].partition("token=")[2]


def test_a_sweep_is_shown_while_it_runs_and_when_it_has_ended(compose: Compose, token: str) -> None:
    running = compose.run("run", "--detach", "orchestrator", "sweep", *LASTING, "--name", "live").stdout.strip()
    wait_for(lambda: "Running" in ask(compose, "/live", token)[1], "the page of a sweep that runs")
    wait_for(lambda: "running</td>" in ask(compose, "/", token)[1], "the sweep in the index")

    assert docker("wait", running) == "0"
    docker("rm", running)
    wait_for(lambda: "This page does not change any more." in ask(compose, "/live", token)[1], "the end of the sweep")
    wait_for(lambda: "finished</td>" in ask(compose, "/", token)[1], "the end in the index")


def test_a_stranger_sees_nothing(compose: Compose, token: str) -> None:
    compose.once("orchestrator", "sweep", *SMALL, "--name", "secret")
    for path in ("/", "/secret", "/?token=a-wrong-token-of-some-length"):
        status, text = ask(compose, path)
        assert status == 401, path
        assert "secret" not in text
    assert ask(compose, "/secret", token, Host="evil.example")[0] == 403
    assert ask(compose, "/secret", token, Origin="http://evil.example")[0] == 403
    assert ask(compose, "/-/health") == (200, "alive\n")


def test_it_can_change_nothing_and_reaches_no_redis(compose: Compose) -> None:
    report = compose.containers("report")[0]["ID"]
    mounts = {mount["Destination"]: mount["RW"] for mount in compose.inspect("report")["Mounts"]}
    assert mounts == {"/runs": False, "/secrets/report": False}
    code = "import socket; socket.create_connection(('redis', 6379), 3)"
    assert "gaierror" in _fails(report, "python", "-c", code)
    address = next(iter(compose.inspect("redis")["NetworkSettings"]["Networks"].values()))["IPAddress"]
    assert "Error" in _fails(report, "python", "-c", code.replace("redis", address))


def _fails(container: str, *command: str) -> str:
    with pytest.raises(AssertionError) as refused:
        docker("exec", container, *command)
    return str(refused.value)


def test_a_stopped_server_ends_in_order(compose: Compose) -> None:
    compose.run("stop", "report")
    # Not 137: Docker has not had to kill it.
    assert compose.inspect("report")["State"]["ExitCode"] == 0
    compose.run("start", "report")
    wait_for(lambda: compose.containers("report")[0]["Health"] == "healthy", "its health")
