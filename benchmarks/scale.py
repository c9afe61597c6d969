"""Measure what a sweep of many jobs costs beside their training: CPU, memory, disk and Redis, by the number of jobs.

Runs the real command on a cluster of this machine, in a folder of its own: a network of 16 and 16 nodes on 1,000
samples, which trains in a few hundredths of a second, or, with --nothing, a trainer that trains nothing.
CPU and memory are those of the orchestrator's process alone; Redis's bytes are those that the sweep leaves behind.

Example:
    .venv/bin/python benchmarks/scale.py --jobs 300 1000 3000 --write docs/explanation/scaling.md
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis
from rich.console import Console

import seedsweep
from orchestrator.cluster.embedded import available_cores

ORCHESTRATOR = str(Path(sys.executable).with_name("orchestrator"))
NETWORK = ("--learning-rates", "log:0.01..0.1:10", "--hidden", "16,16", "--epochs", "1", "--limit", "1000")
NOTHING = ("--trainer", "nothing", "--grid", "rate=linear:0.1..1:10")
CONFIGURATIONS = 10
#: The trainer that trains nothing.
SOURCE = """
from types import SimpleNamespace

from pydantic import BaseModel, ConfigDict, Field

from seedsweep import Metric, Trained, Trainer


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rate: float = Field(default=0.1, gt=0, le=10, description="Nothing.")
    epochs: int = Field(default=1, ge=1, le=1, description="Epochs.")


class Nothing(Trainer):
    name, version, Options, metric = "nothing", 1, Options, Metric(name="score")
    datasets, data = ("none",), "none"

    def load(self, source, cache_dir):
        return SimpleNamespace(digest="0" * 64)

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        on_epoch(seed * options.rate % 1)
        return Trained(artifact=b"nothing")

    def max_bytes(self, options, dataset):
        return 7

    def check_artifact(self, options, dataset, artifact):
        pass
"""
HEADINGS = (
    "jobs", "wall s", "orchestrator CPU s", "CPU ms a job", "orchestrator peak MB", "server peak MB", "folder MB",
    "Redis bytes a job",
)  # fmt: skip
START, END = "<!-- scale -->", "<!-- /scale -->"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[300, 1000, 3000], help="default: %(default)s")
    parser.add_argument("--nothing", action="store_true", help="use the trainer that trains nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also put the table into a document")
    return parser.parse_args(arguments)


def install(folder: Path) -> None:
    """Install the trainer that trains nothing for the processes that this one starts."""
    described = folder / "nothing-1.0.dist-info"
    described.mkdir()
    (folder / "nothing_trainer.py").write_text(SOURCE)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[seedsweep.trainers]\nnothing = nothing_trainer:Nothing\n")
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)


def measure(jobs: int, words: tuple[str, ...], trainer: str, folder: Path) -> tuple[float, ...]:
    """Run a sweep, and return its figures in the order of `HEADINGS`."""
    seeds = ("--seeds", f"0-{jobs // CONFIGURATIONS - 1}")
    with seedsweep.cluster(available_cores(), trainer=trainer) as broker:
        path = broker.removeprefix("redis+socket://")
        client = redis.Redis(unix_socket_path=path)
        before = client.info("memory")["used_memory"]
        where = ("--broker", broker, "--output", str(folder), "--name", f"n{jobs}", "--no-reuse")
        started = time.perf_counter()
        process = subprocess.Popen([ORCHESTRATOR, "sweep", *seeds, *words, *where], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        if status:
            raise SystemExit(f"the sweep of {jobs} jobs ended with status {os.waitstatus_to_exitcode(status)}")
        memory = client.info("memory")
        client.close()
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    cpu = used.ru_utime + used.ru_stime
    left = (memory["used_memory"] - before) / jobs
    peaks = used.ru_maxrss / 1024, memory["used_memory_peak"] / 2**20
    return jobs, wall, cpu, 1000 * cpu / jobs, *peaks, size / 2**20, left


def table(rows: list[tuple[float, ...]], command: str) -> str:
    """Return the figures as Markdown."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---:|" * len(HEADINGS)]
    for jobs, wall, cpu, each, own, server, disk, left in rows:
        lines.append(
            f"| {jobs:,} | {wall:.0f} | {cpu:.1f} | {each:.1f} | {own:.0f} | {server:.0f} | {disk:.1f} | {left:,.0f} |"
        )
    return f"`{command}`:\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and print the table."""
    options = parse(sys.argv[1:])
    command = f"python benchmarks/scale.py{' --nothing' * options.nothing} --jobs {' '.join(map(str, options.jobs))}"
    rows = []
    with tempfile.TemporaryDirectory() as trainers:
        install(Path(trainers))
        words, trainer = (NOTHING, "nothing") if options.nothing else (NETWORK, "network")
        for jobs in options.jobs:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(jobs, words, trainer, Path(folder)))
    said = table(rows, command)
    Console(highlight=False).print(said, markup=False)
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": [dict(zip(HEADINGS, row, strict=True)) for row in rows]}))
    if options.write is not None:
        mark = "nothing" if options.nothing else "network"
        begin, end = START.replace("scale", mark), END.replace("scale", mark)
        before, _, rest = options.write.read_text().partition(begin)
        options.write.write_text(f"{before}{begin}\n{said}{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    main()
