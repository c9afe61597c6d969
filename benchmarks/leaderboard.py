"""Measure how long `orchestrator leaderboard` takes, compared with reading the rows alone.

For each size, a sweep folder is made of constructed rows, with the answers of every job on 10,000 samples. In each
round, rows are read, and the leaderboard is made and written as JSON, in an order that alternates from round to round.
The ratio is the median of the ratios within a round. Times are those of the processor.

Example:
    .venv/bin/python benchmarks/leaderboard.py --rounds 3 --json leaderboard.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard.table import to_json
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import accepted_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.specification import SweepSpecification
from worker.job import Job, Result
from worker.records.answers import pack

#: Configurations and seeds of each size.
SIZES = {"20 jobs": (4, 5), "1,000 jobs": (100, 10), "10,000 jobs": (1000, 10), "10,000 configurations": (10_000, 5)}
SAMPLES = 10_000
EPOCHS = 10


def parse(arguments: list[str], description: str | None = __doc__) -> argparse.Namespace:
    """Parse the command line of this benchmark, or of another one of the same sizes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (default: %(default)s)")
    parser.add_argument("--largest", type=int, default=10_000, metavar="JOBS", help="skip sizes beyond it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    return parser.parse_args(arguments)


def begun(output: Path, name: str, specification: SweepSpecification) -> tuple[SweepFolder, dict[str, Job]]:
    """Make the folder of a sweep without results, and return it with its jobs by key."""
    jobs = specification.jobs_by_key(MNIST_DIGEST)
    folder = SweepFolder(output, name)
    new = Manifest(
        name=name, specification=specification, dataset=MNIST_DIGEST, jobs=list(jobs), provenance=provenance()
    )
    with folder.exclusive(new):
        return folder, jobs


def made(output: Path, name: str, configurations: int, seeds: int) -> SweepFolder:
    """Make a sweep folder whose learning rates differ by less than the noise of their seeds."""
    rates = tuple(0.001 * (1 + i) for i in range(configurations))
    specification = SweepSpecification(
        seeds=tuple(range(seeds)), options={"epochs": EPOCHS}, grid={"learning_rate": rates}
    )
    folder, jobs = begun(output, name, specification)
    rng = np.random.default_rng(0)
    # Packed once for each of a few: packing them all would take longer than what is measured.
    known = [(float(bits.mean()), pack(bits)) for bits in rng.random((50, SAMPLES)) < 0.97]
    with (folder.path / "results.jsonl").open("w") as file:
        for key, job in jobs.items():
            score, packed = known[rng.integers(len(known))]
            result = Result(
                job=key,
                status="succeeded",
                validation_score=[0.5] * (EPOCHS - 1) + [score],
                epoch_seconds=[0.3] * EPOCHS,
                weights_sha256=key,
                weights_bytes=1,
                worker="w@host",
                attempts=1,
                correct=packed,
            )
            file.write(accepted_row(job, result).line())
    return folder


def measure(folder: SweepFolder, rounds: int) -> dict[str, float]:
    """Return the median seconds of reading and of the whole, and the median of their ratios."""
    functions: dict[str, Callable[[], object]] = {
        "rows": lambda: folder.rows_of(folder.manifest().jobs_by_key()),
        "leaderboard": lambda: to_json(Sweep.read(folder).leaderboard),
    }
    functions["leaderboard"]()  # The first one imports SciPy.
    times: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(rounds):
        for name in list(functions) if i % 2 else reversed(functions):
            started = time.process_time()
            functions[name]()
            times[name].append(time.process_time() - started)
    ratios = [whole / rows for whole, rows in zip(times["leaderboard"], times["rows"], strict=True)]
    return {name: statistics.median(each) for name, each in times.items()} | {"ratio": statistics.median(ratios)}


def main(arguments: list[str]) -> None:
    """Measure, and print the table."""
    options = parse(arguments)
    figures = {}
    print(f"{'sweep':24}{'rows, s':>10}{'leaderboard, s':>16}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as output:
        for name, (configurations, seeds) in SIZES.items():
            if configurations * seeds > options.largest:
                continue
            folder = made(Path(output), name.replace(" ", "-").replace(",", ""), configurations, seeds)
            figures[name] = measure(folder, options.rounds)
            print(
                f"{name:24}{figures[name]['rows']:10.2f}{figures[name]['leaderboard']:16.2f}{figures[name]['ratio']:8.2f}"
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
