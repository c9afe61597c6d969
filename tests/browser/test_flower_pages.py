"""What a person sees in Flower, in a real browser."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.support.cluster import Cluster, make_job
from tests.support.command_line import CommandLine
from tests.support.flower_process import PASSWORD, USER, FlowerProcess
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(300)]

SWEEP = ("--seeds", "0-4", "--learning-rates", "0.01,0.1", "--epochs", "2", "--limit", "2000")
JOBS = 10


@pytest.fixture
def flower(cluster: Cluster, tmp_path: Path) -> Iterator[FlowerProcess]:
    with FlowerProcess(tmp_path, cluster.server.url) as made:
        yield made


def visit(browser: webdriver.Chrome, flower: FlowerProcess, path: str) -> str:
    """Open a page as somebody who has typed the password; return its text."""
    browser.get(f"http://{USER}:{PASSWORD}@127.0.0.1:{flower.port}{path}")
    return text(browser)


def text(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def rows(browser: webdriver.Chrome, table: str) -> list[dict[str, str]]:
    """Return a table of the page, as it stands after its script has filled it: each row by its headings."""
    found: list[dict[str, str]] = browser.execute_script(
        """
        const table = document.getElementById(arguments[0]);
        const heads = [...table.querySelectorAll('thead th')].map(cell => cell.textContent.trim());
        return [...table.querySelectorAll('tbody tr')].map(row =>
            Object.fromEntries([...row.cells].map((cell, i) => [heads[i], cell.innerText.trim()])));
        """,
        table,
    )
    return found


def photograph(browser: webdriver.Chrome, name: str) -> None:
    """Keep a picture of the page for the documentation, if SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / name))


def test_the_pages_tell_of_the_sweep(
    cluster: Cluster, flower: FlowerProcess, browser: webdriver.Chrome, command_line: CommandLine
) -> None:
    # Given two workers, and a sweep that they have trained
    for _ in range(2):
        cluster.start_worker()
    command_line.run("sweep", *SWEEP, "--name", "s", "--broker", cluster.server.url)
    trained = {row["job"]: row for row in command_line.rows("s")}
    wait_for(lambda: len(flower.tasks("SUCCESS")) == JOBS, "all jobs in Flower")

    # When somebody logs in and looks at the workers
    visit(browser, flower, "/workers")
    workers = wait_for(lambda: [row for row in rows(browser, "workers-table") if len(row) > 1], "the workers' table")
    # Then both are online, and together have done what the sweep has
    assert sorted(row["Worker"] for row in workers) == ["w1@test", "w2@test"]
    assert {row["Status"] for row in workers} == {"Online"}
    assert sum(int(row["Succeeded"]) for row in workers) == len(trained) == JOBS
    photograph(browser, "flower-workers.png")

    # When they look at the tasks
    visit(browser, flower, "/tasks")
    tasks = wait_for(lambda: [row for row in rows(browser, "tasks-table") if len(row) > 1], "the tasks' table")
    # Then each job is there, with what it is and what came of it in words
    assert {row["UUID"] for row in tasks} == trained.keys()
    assert {"Name", "args"}.isdisjoint(tasks[0]), "the same for every task"
    for row in tasks:
        job = trained[row["UUID"]]
        assert row["State"] == "SUCCESS"
        assert f"seed={job['seed']} learning_rate={job['options']['learning_rate']}" in row["kwargs"]
        assert f"validation accuracy {100 * job['validation_score'][-1]:.2f} %" in row["Result"]
    photograph(browser, "flower-tasks.png")

    # And no page offers to change anything
    visit(browser, flower, "/worker/w1@test")
    assert not browser.find_elements(By.CSS_SELECTOR, "button.btn-danger, #worker-shut-down")


def test_a_jobs_page_shows_how_far_it_is(cluster: Cluster, flower: FlowerProcess, browser: webdriver.Chrome) -> None:
    # Given a job that runs for as long as the test needs
    cluster.start_worker()
    job = make_job(seed=5, learning_rate=0.03, epochs=1000, limit=20000)
    cluster.submit(job)
    wait_for(lambda: flower.tasks().get(job.key, {}).get("state") == "PROGRESS", "progress in Flower")

    def epoch() -> int:
        """Return the epoch that the job's page shows."""
        shown = visit(browser, flower, f"/task/{job.key}")
        assert "seed=5 learning_rate=0.03 epochs=1000" in shown
        words = shown.split("epoch ", 1)[1].split()
        assert words[1:4] == ["of", "1000:", "validation"]
        return int(words[0])

    # When somebody looks at its page, and again later
    first = epoch()
    later = wait_for(lambda: (now := epoch()) > first and now, "a later epoch")
    # Then it has gone on
    assert first < later < 1000
    photograph(browser, "flower-progress.png")
    cluster.store().cancel([job.key], "the test has seen enough")
