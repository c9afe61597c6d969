"""Time exact stochastic gradient descent, one sample at a time, in this kernel and in its alternatives.

Every row trains the same network from the same weights on the same leading samples of MNIST, once, on one core. The
rounds are interleaved, and the time is the median over the rounds. Beside it stand its ratio to the first row's time,
and the validation accuracy of the trained network.

Example:
    .venv/bin/python benchmarks/kernel.py --samples 59500 --rounds 3 --json kernel.json
"""

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from kernel_contenders import CONTENDERS, Contender, Task
from llvmlite import binding
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from nn.datasets.mnist import Dataset, load_mnist
from nn.reference import NumPyEngine
from nn.training import predict
from nn.weights import Weights, initial_weights


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=positive, default=10_000, help="train on the first N (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="how often each row is timed (default: %(default)s)")
    parser.add_argument("--hidden", type=positive, nargs=2, default=(128, 64), help="hidden layers (default: 128 64)")
    parser.add_argument("--learning-rate", type=float, default=0.03, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights (default: %(default)s)")
    parser.add_argument("--only", metavar="TEXT", help="only the rows whose name contains this, and the first")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    return parser.parse_args(arguments)


def accuracy(trained: Any, data: Dataset) -> float:
    """Return the validation accuracy of a contender's network."""
    if isinstance(trained, Weights):
        predictions = predict(NumPyEngine(trained, loss="cross_entropy"), data.validation)
    else:
        predictions = trained(data.validation.to_dense())
    return float(np.mean(predictions == data.validation.labels))


def measure(contenders: list[Contender], task: Task, rounds: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Return the seconds of each round, and what was trained in the last one, by the contender's name."""
    for contender in contenders:  # compiles what needs it, before anything is timed
        contender.prepare(task)()
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    trained = {}
    for _ in range(rounds):
        for contender in contenders:
            train = contender.prepare(task)
            started = time.perf_counter()
            trained[contender.name] = train()
            seconds[contender.name].append(time.perf_counter() - started)
    return seconds, trained


def run(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure, and return all figures."""
    data = load_mnist()
    train = data.train.first(options.samples)
    sizes = (train.n_features, *options.hidden, data.train.n_classes)
    weights = initial_weights(sizes, np.random.RandomState(options.seed), "float64")
    task = Task(weights, train, train.to_dense(), options.learning_rate)
    chosen = [c for c in CONTENDERS if c is CONTENDERS[0] or not options.only or options.only in c.name]
    present = [contender for contender in chosen if contender.can_run]
    with console.status(f"Training {len(present)} ways, {options.rounds + 1} times each"):
        seconds, trained = measure(present, task, options.rounds)
        rows = [
            {
                "name": contender.name,
                "us_per_sample": statistics.median(seconds[contender.name]) / len(train) * 1e6,
                "us_per_sample_of_each_round": [s / len(train) * 1e6 for s in seconds[contender.name]],
                "validation_accuracy": accuracy(trained[contender.name], data),
            }
            for contender in present
        ]
    return {
        "samples": len(train),
        "rounds": options.rounds,
        "layer_sizes": sizes,
        "learning_rate": options.learning_rate,
        "seed": options.seed,
        "cpu": binding.get_host_cpu_name(),
        "versions": [f"Python {platform.python_version()}", *filter(None, (c.version for c in present))],
        "rows": rows,
        "not_installed": [contender.name for contender in chosen if contender not in present],
    }


def table(figures: dict[str, Any]) -> Table:
    """Return the figures as a table, each time also as a multiple of the first row's."""
    shape = "-".join(map(str, figures["layer_sizes"]))
    result = Table(
        title=f"{shape}, {figures['samples']} samples, one epoch at {figures['learning_rate']:g}, {figures['cpu']}",
        caption=f"medians of {figures['rounds']} interleaved rounds, one core; {', '.join(figures['versions'])}",
    )
    for heading in ("", "us/sample", "x first", "validated"):
        result.add_column(heading, justify="right" if heading else "left")
    first = figures["rows"][0]["us_per_sample"]
    for row in figures["rows"]:
        time_per_sample = row["us_per_sample"]
        share = f"{100 * row['validation_accuracy']:.2f} %"
        result.add_row(row["name"], f"{time_per_sample:.2f}", f"{time_per_sample / first:.2f}", share)
    for name in figures["not_installed"]:
        result.add_row(name, "not installed", "", "")
    return result


def main() -> None:
    """Run the command."""
    options, console = parse(sys.argv[1:]), Console()
    with threadpool_limits(1):
        figures = run(options, console)
    console.print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
