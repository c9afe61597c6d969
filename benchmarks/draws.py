"""Measure how long the initial weights of a job take, drawn by NumPy's `randn` and by `nn.initialization`.

In each round, every row draws the weights of the same network once, in an order that alternates from round to round.
The ratio is the median of the ratios within a round. Times are those of the processor.

Example:
    .venv/bin/python benchmarks/draws.py --rounds 100 --json draws.json
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np

from nn.options.network import Initialization
from nn.weights import LayerSizes, initial_weights

SIZES: LayerSizes = (784, 128, 64, 10)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="how often each row is timed (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    return parser.parse_args(arguments)


def by_randn(random_state: np.random.RandomState) -> None:
    """Draw the weights of the notebook by `randn`."""
    _, *rows = SIZES
    for n_rows, n_columns in zip(rows, SIZES, strict=False):
        (random_state.randn(n_rows, n_columns) * np.sqrt(1.0 / n_rows)).astype("float32")


def contenders() -> dict[str, Callable[[np.random.RandomState], object]]:
    """Return what is measured, the baseline first."""

    def by(initialization: str) -> Callable[[np.random.RandomState], object]:
        return lambda random_state: initial_weights(SIZES, random_state, "float32", initialization=initialization)

    return {"NumPy's randn": by_randn, **{name: by(name) for name in get_args(Initialization)}}


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of each row, and its ratio to the first one."""
    functions = contenders()
    for function in functions.values():
        # The first draw of a process also makes the tables of the logarithm.
        function(np.random.RandomState(0))
    times: dict[str, list[float]] = {name: [] for name in functions}
    for seed in range(rounds):
        for name in list(functions) if seed % 2 else reversed(functions):
            random_state = np.random.RandomState(seed)
            started = time.process_time()
            functions[name](random_state)
            times[name].append(1000 * (time.process_time() - started))
    baseline = times[next(iter(functions))]
    return {
        name: {
            "milliseconds": statistics.median(each),
            "ratio": statistics.median(mine / first for mine, first in zip(each, baseline, strict=True)),
        }
        for name, each in times.items()
    }


def main(arguments: list[str]) -> None:
    """Measure, and print the table."""
    options = parse(arguments)
    figures = measure(options.rounds)
    print(f"{'initial weights of 784-128-64-10':34}{'ms':>8}{'ratio':>8}")
    for name, row in figures.items():
        print(f"{name:34}{row['milliseconds']:8.2f}{row['ratio']:8.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
