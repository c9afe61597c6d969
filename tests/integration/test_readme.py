"""README, tutorial and how-to pages: their commands and programs run as they stand, and print what the pages show."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.live_server import servers, whole_index
from tests.support.paths import ROOT
from tests.support.secured_server import make_secrets

#: How-to pages whose blocks other tests run, and which.
ELSEWHERE = {
    "claims": "tests/integration/test_claims.py checks the page's claim, and signs, packs and rebuilds others",
    "jax": "tests/trainers/test_frameworks.py",
    "lightgbm": "tests/trainers/test_frameworks.py",
    "operating": "tests/compose/test_operating.py",
    "own-trainer": "tests/trainers/test_own_trainer.py, and its containers in tests/compose/test_own_trainer.py",
    "pytorch": "tests/trainers/test_frameworks.py",
}
#: Commands that are not run, by their first words, and why.
NOT_RUN = {
    "make setup": "has made the environment of the tests",
    "make sweep": "is run by test_make_sweep_ends_with_the_verdict_that_the_pages_explain",
    ".venv/bin/orchestrator serve": "shows the result of make sweep; the same command is run further down",
    ". .venv/bin/activate": "the tests' own environment is in use",
    "docker compose up": "needs Docker: tests/compose",
    "export CELERY_BROKER_URL=": "needs Docker: tests/compose; its sed is run below",
    "SEEDSWEEP_TRAINER=sklearn": "needs a cluster: tests/integration/test_foreign_trainers.py has such a worker",
    "pip install": "needs the package index",
    ".venv/bin/pip install": "needs the package index",
    "mlflow ui": "needs a package that no extra includes",
    "orchestrator export night-run --to mlflow --tracking-uri": "needs a server of MLflow",
    "tensorboard": "does not end by itself; tests/integration/test_export.py reads what it would show",
}
#: Every page, from its first block to its last.
HOW_TO = sorted({path.stem for path in (ROOT / "docs" / "how-to").glob("*.md")} - set(ELSEWHERE))
PAGES = ["README.md", "docs/tutorial.md", *(f"docs/how-to/{name}.md" for name in HOW_TO)]
#: What differs from one run of a page to the next: the order of jobs, times, sizes, the host, and how many run at once.
VARIES = re.compile(r"\[ *\d+/|[\d.]+ k?[sB]\b|@\S+|\d+ at a time")


def lines(text: str) -> list[str]:
    return [VARIES.sub("#", line.rstrip()) for line in text.splitlines()]


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def run_block(language: str, block: str, line: CommandLine) -> str:
    """Run the commands of a block of `sh`, or a block of Python, and return what they print."""
    if language == "python":
        return subprocess.check_output([sys.executable, "-c", block], cwd=line.folder, env=line.environment, text=True)
    printed = ""
    for command in block.splitlines():
        words = shlex.split(command, comments=True)
        if command.startswith(tuple(NOT_RUN)):
            continue
        assert words[:1] == ["orchestrator"], f"{command}: neither run nor in NOT_RUN"
        if words[1] == "serve":  # It does not end by itself.
            with servers(line) as serve:
                server = serve(*words[2:])
                assert server.get("/-/health").status == 200
                assert words[2:] or "finished</td>" in whole_index(server)
        else:
            process = line.start(*words[1:])
            printed += process.communicate(timeout=600)[0]
            undecided = process.returncode == 1 and words[1] in ("compare", "decide")
            assert process.returncode == 0 or undecided, f"{words}: status {process.returncode}\n{printed}"
    return printed


@pytest.mark.timeout(900)
@pytest.mark.slow(reason="trains what the pages train, most of it on MNIST")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_as_it_stands(page: str, command_line: CommandLine) -> None:
    # Given a clone, in which there is nothing but what Git keeps
    (command_line.folder / "docs").symlink_to(ROOT / "docs")
    command_line.environment["BROWSER"] = "true"  # It shows nothing.
    if page == "docs/how-to/sweeps.md":
        run_block(*blocks("docs/how-to/own-data.md")[0], command_line)
        command_line.environment["SEEDSWEEP_DATA"] = str(command_line.folder / "my-images")
    printed = ""
    for language, block in blocks(page):
        if language in ("sh", "python"):
            printed = run_block(language, block, command_line)
        elif language == "toml":
            (command_line.folder / "sweep.toml").write_text(block)
        elif printed:
            # Each line that is shown has been printed; "..." stands for lines that are left out.
            assert [shown for shown in lines(block) if shown not in ["...", *lines(printed)]] == [], printed


@pytest.mark.slow(reason="trains the 20 jobs of make sweep on all of MNIST")
def test_make_sweep_ends_with_the_verdict_that_the_pages_explain(command_line: CommandLine) -> None:
    printed = command_line.end(command_line.start("sweep"))
    for page in ("README.md", "docs/index.md"):
        assert (ROOT / page).read_text().split("```text\n")[1].split("```")[0] in printed, page


@pytest.mark.parametrize("document", ["README.md", "docs/how-to/operating.md"])
def test_the_brokers_address_is_found_in_what_the_secrets_show(document: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    shown = make_secrets(tmp_path, "show").stdout
    match = re.search(r"secrets show \| (sed -n '.*?')", (ROOT / document).read_text())
    assert match is not None
    found = subprocess.run(shlex.split(match[1]), input=shown, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"redis://orchestrator:[\w-]+@127\.0\.0\.1:6379/0\n", found)
