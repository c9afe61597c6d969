"""docs/how-to/operating.md: its commands run as they stand, from the first to the last, in one cluster."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.compose import Compose, docker
from tests.support.paths import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

#: Blocks that are not run, by their first words, and why.
NOT_RUN = {
    "celery -A worker": "does not end by itself; the tests of workers start it so",
    "redis-server": "starts what stays in the background",
    "HOST=": "makes certificates; tests/support/tls.py runs it, and the TLS test of tests/compose uses them",
}
TEXT = (ROOT / "docs" / "how-to" / "operating.md").read_text()
BLOCKS = [
    (language, text)
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    if not text.startswith(tuple(NOT_RUN))
]


def run(compose: Compose, clone: Path, commands: str) -> str:
    """Run commands of a shell in a clone, as the page's reader does; each must succeed. Return what they print."""
    environment = compose.environment | {
        "COMPOSE_PROJECT_NAME": compose.project,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=clone, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_what_the_page_writes_is_read(compose: Compose, clone: Path) -> None:
    for language, text in BLOCKS:
        if language == "toml":
            (clone / "seedsweep.toml").write_text(text)
            found = json.loads(run(compose, clone, "orchestrator config --json"))["settings"]
            (clone / "seedsweep.toml").unlink()
            assert found["threads"]["value"] == 4
        elif language != "sh":
            # Like `.env`, and like an override file beside docker-compose.yml.
            name = {"ini": "page.env", "yaml": "page.yml"}[language]
            (clone / name).write_text(text)
            words = f"--env-file {name}" if language == "ini" else f"-f docker-compose.yml -f {name}"
            run(compose, clone, f"docker compose {words} config --quiet")


def test_the_page_runs_as_it_stands(compose: Compose, clone: Path) -> None:
    for text in [text for language, text in BLOCKS if language == "sh"]:
        before = compose.shown()
        commands = text
        if text.startswith("git pull"):
            # The clone is of what is committed: it has all that there is.
            commands = text.partition("\n")[2]
        elif "PASSWORD" in text:
            commands = text.replace("PASSWORD", before["orchestrator broker"].split("@")[0].rpartition(":")[2])
        elif "-x < redis.tar" in text:
            # Given a Redis that has lost everything
            compose.run("stop", "redis")
            compose.once("redis", "-rf", "/data/appendonlydir", options=("--no-deps", "--entrypoint", "rm"))
        elif text == "docker compose stop worker\n":
            # Given workers that have all started
            compose.up(len(compose.containers("worker")), "--no-recreate")
        workers = [each["ID"] for each in compose.containers("worker")]
        printed = run(compose, clone, commands)
        if text == "docker compose stop worker\n":
            # Then each has returned its jobs, and ended in order.
            states = [docker("inspect", "--format", "{{.State.ExitCode}}", worker) for worker in workers]
            assert states == ["0"] * len(workers)
            compose.up(1, "--no-recreate")
        elif "secrets rotate" in text:
            assert not set(before.values()) & set(compose.shown().values())
        elif "cancel_consumer" in text:
            assert "reverses it" in TEXT
            run(compose, clone, commands.replace("cancel_consumer", "add_consumer"))
        elif text.startswith("docker compose run --rm --no-TTY secrets"):
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+\n", printed)
    # The sweeps' folders were copied out,
    assert {"first", "one-job"} <= {path.name for path in (clone / "runs").iterdir()}
    # and after all this Redis has its results.
    words = re.findall(r"orchestrator (sweep .*) --name first$", TEXT, re.MULTILINE)[0].split()
    again = json.loads(compose.once("orchestrator", *words, "--name", "again", "--json"))
    assert again["accounting"]["reused"] == 10
