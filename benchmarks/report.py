"""Measure how large a report is, how long it takes to make and to show, and what its packages bring.

For each size, a sweep folder is made of constructed rows: learning curves, answers on 10,000 samples, times of
attempts, and the weights of an untrained network. In each round, the leaderboard and the report are made, in an order
that alternates from round to round; then Chromium opens an empty page and the report. The ratios are medians of the
ratios within a round. Times of making are those of the processor; times of showing are Chromium's own, from the request
to the first paint with content.

Example:
    .venv/bin/python benchmarks/report.py --rounds 3 --json report.json
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import numpy as np
from leaderboard import begun, parse
from report_packages import EXTRAS, brought

from nn.files import digest
from nn.weights import initial_weights, to_safetensors
from orchestrator.analysis.leaderboard.table import to_json
from orchestrator.analysis.sweep import Sweep
from orchestrator.commands.report import report
from orchestrator.folder.rows import AttemptRecord, accepted_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.specification import SweepSpecification
from worker.job import Job, Result
from worker.records.answers import pack
from worker.settings import load_settings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

#: Learning rates, initial scales and seeds of each size.
SIZES = {20: (4, 1, 5), 200: (5, 4, 10), 10_000: (25, 20, 20)}
SAMPLES = 10_000
EPOCHS = 10
#: Workers that share the jobs, each with one at a time.
WORKERS = 8
EMPTY = "<!doctype html><title>empty</title><p>empty"


def made(output: Path, rates: int, scales: int, seeds: int) -> SweepFolder:
    """Make a sweep folder of learning rates and initial scales, of which those in the middle are best."""
    grid = {
        "learning_rate": tuple(float(rate) for rate in np.geomspace(0.001, 0.1, rates)),
        "initial_scale": tuple(0.5 + 0.1 * i for i in range(scales)),
    }
    varying = {name: values for name, values in grid.items() if len(values) > 1}
    fixed = {name: values[0] for name, values in grid.items() if len(values) == 1}
    specification = SweepSpecification(seeds=tuple(range(seeds)), options={"epochs": EPOCHS, **fixed}, grid=varying)
    folder, jobs = begun(output, f"jobs-{rates * scales * seeds}", specification)
    weights = to_safetensors(initial_weights((784, 128, 64, 10), np.random.RandomState(0), "float32"))
    with folder.exclusive():
        folder.keep_weights(digest(weights), weights)
    rng = np.random.default_rng(0)
    # Packed once for each of a few: packing them all would take longer than what is measured.
    known = [pack(bits) for bits in rng.random((50, SAMPLES)) < 0.97]
    with (folder.path / "results.jsonl").open("w") as file:
        for i, (key, job) in enumerate(jobs.items()):
            result = _result(key, job, i, rng, digest(weights), known[rng.integers(len(known))])
            row = accepted_row(job, result)
            started = 1.7e9 + 6.0 * (i // WORKERS)
            attempt = AttemptRecord(worker=result.worker, cause="first run", started=started, ended=started + 5.5)
            file.write(row.model_copy(update={"history": [attempt]}).line())
    return folder


def _result(key: str, job: Job, i: int, rng: np.random.Generator, weights: str, correct: str | None) -> Result:
    """Return a result whose curve rises towards a level that the learning rate decides, with noise."""
    rate, scale = job.options.learning_rate, job.options.initial_scale  # type: ignore[attr-defined]
    level = 0.975 - 0.02 * float(np.log10(rate / 0.02)) ** 2 - 0.01 * abs(scale - 1.0) + rng.normal(0.0, 0.0015)
    curve = level - 0.1 * np.exp(-np.arange(1, EPOCHS + 1) / 2.0) + rng.normal(0.0, 0.001, EPOCHS)
    return Result(
        job=key,
        status="succeeded",
        validation_score=[round(float(score), 6) for score in np.clip(curve, 0.0, 1.0)],
        epoch_seconds=[float(seconds) for seconds in rng.uniform(0.5, 0.6, EPOCHS)],
        weights_sha256=weights,
        weights_bytes=1,
        worker=f"w{i % WORKERS}@host",
        attempts=1,
        correct=correct,
    )


def interleaved(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median processor seconds of each function, and `ratio`, of the last to the first."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(rounds):
        for name in list(functions) if i % 2 else reversed(functions):
            started = time.process_time()
            functions[name]()
            times[name].append(time.process_time() - started)
    return _summary(times)


def _summary(times: dict[str, list[float]]) -> dict[str, float]:
    base, measured = times.values()
    ratios = [after / before for before, after in zip(base, measured, strict=True)]
    return {name: statistics.median(each) for name, each in times.items()} | {"ratio": statistics.median(ratios)}


@contextmanager
def chromium() -> Iterator[Chrome | None]:
    """Run Chromium without a window; None where it is not installed."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = which("chromium"), which("chromedriver")
    if program is None or driver is None:
        yield None
        return
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,800"):
        options.add_argument(flag)
    started = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield started
    finally:
        started.quit()


def first_paint(browser: Chrome, page: Path) -> float:
    """Open a page, and return the milliseconds until its first paint with content."""
    browser.get(page.absolute().as_uri())
    paint = "return performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0] ?? null"
    deadline = time.monotonic() + 60
    while (found := browser.execute_script(paint)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Chromium painted nothing of {page}")
        time.sleep(0.05)
    return float(found)


def painted(browser: Chrome, empty: Path, page: Path, rounds: int) -> dict[str, float]:
    """Return the median milliseconds of both pages, and the median of their ratios."""
    times: dict[str, list[float]] = {"empty_ms": [], "paint_ms": []}
    for path in (empty, page):
        first_paint(browser, path)
    for i in range(2 * rounds + 1):
        order = (("empty_ms", empty), ("paint_ms", page))
        for name, path in order if i % 2 else reversed(order):
            times[name].append(first_paint(browser, path))
    return _summary(times)


def measure(folder: SweepFolder, browser: Chrome | None, empty: Path, rounds: int) -> dict[str, object]:
    """Return the size of the report of a sweep, and how long it takes to make and to show."""
    cache_dir = load_settings().cache_dir
    functions: dict[str, Callable[[], object]] = {
        "leaderboard": lambda: to_json(Sweep.read(folder).leaderboard),
        "report": lambda: report(Sweep.read(folder), cache_dir=cache_dir),
    }
    functions["report"]()  # The first one imports what it needs, and compiles templates.
    making = interleaved(functions, rounds)
    page = folder.path / "report.html"
    showing = None if browser is None else painted(browser, empty, page, rounds)
    return {"bytes": page.stat().st_size, "making": making, "showing": showing}


def packages() -> dict[str, object]:
    """Print and return what each extra brings."""
    print(f"\n{'extra':14}{'packages':>10}{'MB':>8}   which")
    found = {extra: sizes for extra in EXTRAS if (sizes := brought(extra)) is not None}
    for extra, sizes in found.items():
        largest = sorted(sizes, key=lambda name: -sizes[name])
        print(f"{extra:14}{len(sizes):10}{sum(sizes.values()) / 1e6:8.1f}   {_listed(largest)}")
    return {extra: {"packages": sizes, "bytes": sum(sizes.values())} for extra, sizes in found.items()}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def main(arguments: list[str]) -> None:
    """Measure, and print the tables."""
    options = parse(arguments, __doc__)
    figures: dict[str, object] = {}
    print(
        f"{'sweep':14}{'size, MB':>10}{'leaderboard, s':>16}{'report, s':>11}{'ratio':>8}"
        f"{'empty, ms':>11}{'report, ms':>12}{'ratio':>8}"
    )
    with tempfile.TemporaryDirectory() as output, chromium() as browser:
        empty = Path(output, "empty.html")
        empty.write_text(EMPTY)
        for jobs, shape in SIZES.items():
            if jobs > options.largest:
                continue
            found = measure(made(Path(output), *shape), browser, empty, options.rounds)
            figures[str(jobs)] = found
            print(_line(jobs, found), flush=True)
        if browser is None:
            print("Chromium is not installed: no page was shown", file=sys.stderr)
    figures["extras"] = packages()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def _line(jobs: int, found: dict[str, object]) -> str:
    making, showing = found["making"], found["showing"]
    assert isinstance(making, dict)
    line = (
        f"{jobs:6,} jobs   {int(str(found['bytes'])) / 1e6:10.2f}{making['leaderboard']:16.2f}{making['report']:11.2f}"
    )
    line += f"{making['ratio']:8.1f}"
    if isinstance(showing, dict):
        line += f"{showing['empty_ms']:11.0f}{showing['paint_ms']:12.0f}{showing['ratio']:8.1f}"
    return line


if __name__ == "__main__":
    main(sys.argv[1:])
