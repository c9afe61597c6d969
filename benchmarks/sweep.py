"""Measure where the time of a sweep goes, beside what its training alone needs, and how fast --help answers.

Runs the real command on an embedded cluster, in a folder of its own, and reads when each job's line comes. With one
process a core, cores x wall time splits without remainder into

- training: the jobs' own epochs;
- start: until a core begins with its first job (the command's own imports and checks; then the cluster's start);
- between jobs: from the end of a job on a core to the start of its next one;
- waiting at the end: a core has no job left while another one still trains;
- finish: from the last result to the end of the command.

Example:
    .venv/bin/python benchmarks/sweep.py --rounds 3 --json sweep.json
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator.cluster.embedded import available_cores

ORCHESTRATOR = str(Path(sys.executable).with_name("orchestrator"))
_JOB_LINE = re.compile(r"\[ *\d+/\d+\] seed (\d+), learning rate (\S+):")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; pass unknown options on to the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="sweeps to run (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=20, help="times to start --help (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    options, of_the_sweep = parser.parse_known_args(arguments)
    options.sweep = of_the_sweep
    return options


def run_sweep(arguments: list[str], folder: Path) -> dict[str, float]:
    """Run a sweep and return where its time went, in seconds of a core.

    Without arguments it is the default one: 5 seeds, 4 learning rates, 10 epochs.
    """
    cores = available_cores()
    command = [ORCHESTRATOR, "sweep", *arguments, "--no-reuse", "--name", "bench", "--output", str(folder)]
    arrived: dict[tuple[int, float], float] = {}
    started = time.perf_counter()
    begun = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            now = time.perf_counter() - started
            if line.startswith("Training "):
                begun = now
            if match := _JOB_LINE.match(line):
                arrived[int(match[1]), float(match[2])] = now
    wall = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"the sweep ended with status {process.returncode}")
    rows = [json.loads(line) for line in (folder / "bench" / "results.jsonl").read_text().splitlines()]
    spans = []
    for row in rows:
        end = arrived[row["seed"], row["options"]["learning_rate"]]
        spans.append((end - sum(row["epoch_seconds"]), end))
    return split(spans, cores, wall, begun)


def split(spans: list[tuple[float, float]], cores: int, wall: float, begun: float) -> dict[str, float]:
    """Split `cores * wall` by what the cores did.

    Args:
        spans: When each job's training began and ended.
        cores: How many jobs ran at a time.
        wall: The length of the whole.
        begun: When the cluster began to start.
    """
    # A job runs on the core that has been free for the shortest time when it begins. A line can come a moment after
    # the next job has begun, so that the earliest core is taken if none seems free.
    free = [0.0] * cores
    first, between = 0.0, 0.0
    for start, end in sorted(spans, key=lambda span: span[0]):
        candidates = [core for core in range(cores) if free[core] <= start] or [free.index(min(free))]
        core = max(candidates, key=lambda candidate: free[candidate])
        gap = start - free[core]
        if free[core] == 0.0:
            first += gap
        else:
            between += gap
        free[core] = end
    last = max(free)
    training = sum(end - start for start, end in spans)
    return {
        "wall": wall,
        "cores": cores,
        "training": training,
        "start: the command": cores * begun,
        "start: the cluster": first - cores * begun,
        "between jobs": between,
        "waiting at the end": sum(last - end for end in free),
        "finish": cores * (wall - last),
        "ratio": wall / (training / cores),
    }


def seconds_to_start(command: list[str], times: int) -> float:
    """Return the median time that a command takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, and return all figures."""
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(run_sweep(options.sweep, Path(folder)))
    chosen = sorted(rounds, key=lambda figures: figures["ratio"])[len(rounds) // 2]
    bare = seconds_to_start([sys.executable, "-c", "pass"], options.starts)
    shown = seconds_to_start([ORCHESTRATOR, "--help"], options.starts)
    return {"sweep": chosen, "help": {"bare_seconds": bare, "seconds": shown, "ratio": shown / bare}}


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the figures."""
    sweep = figures["sweep"]
    whole = sweep["cores"] * sweep["wall"]
    table = Table(title=f"{sweep['wall']:.1f} s of wall time on {sweep['cores']} cores", title_justify="left")
    for heading in ("", "core seconds", "share"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, seconds in sweep.items():
        if name not in ("wall", "cores", "ratio"):
            table.add_row(name, f"{seconds:.2f}", f"{100 * seconds / whole:.1f} %")
    console.print(table)
    console.print(f"wall time / (training / cores): {sweep['ratio']:.3f}")
    help_ = figures["help"]
    console.print(
        f"orchestrator --help: {1000 * help_['seconds']:.0f} ms, "
        f"{help_['ratio']:.1f} times as long as `python -c pass` ({1000 * help_['bare_seconds']:.0f} ms)"
    )


def main() -> None:
    """Run the benchmark."""
    options = parse(sys.argv[1:])
    figures = measure(options)
    show(figures, Console())
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
