"""Measure the same sweep under Seedsweep and under other tools: time, memory, and what a killed process costs.

Each system runs as a program of its own, on the same cores: Seedsweep's is its command, those of the others are in
`benchmarks/peers_drivers.py`. Jobs of one epoch of the network on MNIST, then jobs that train nothing. Each training
logs its begin and end, so that trainings are counted by the log, and results by what the system has stored.
Then SIGKILL ends a training process half-way, or the process of the command; if the command fails or hangs, it is run
again as a user would. `make bench-peers` makes the environment, runs this, and writes docs/results/peers.md.

Example:
    build/peers/bin/python benchmarks/peers.py --jobs 8 --nothing 50 --only seedsweep pool
"""

import argparse
import ctypes
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from peers_drivers import LOG, PROCESSES, Point, grid, points, stored, whole_lines
from rich.console import Console

HERE = Path(__file__).parent
ORCHESTRATOR = str(Path(sys.executable).with_name("orchestrator"))
#: The systems by their names here: how tables call them, and the package with their version.
SYSTEMS = {
    "seedsweep": ("Seedsweep", "seedsweep"),
    "ray": ("Ray Tune", "ray"),
    "optuna-sqlite": ("Optuna, SQLite", "optuna"),
    "optuna-journal": ("Optuna, journal", "optuna"),
    "dask": ("Dask", "distributed"),
    "joblib": ("joblib", "joblib"),
    "pool": ("bare pool", ""),
}
RATES = {"network": 8, "nothing": 10}
#: Options of the environment in which all run: no telemetry, no tokens in the home folder.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
START, END = "<!-- peers -->", "<!-- /peers -->"
#: Seconds that the processes of a killed command get to end by themselves.
GRACE = 5.0
#: Seconds after which a command is ended, so that the whole stays short.
LONGEST = 150.0
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Sweep:
    """A sweep as one system runs it.

    Attributes:
        system: The name of the system.
        jobs: The number of jobs.
        work: What a job trains: `network` or `nothing`.
        folder: Where the system stores its results.
    """

    system: str
    jobs: int
    work: str
    folder: Path

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The seeds and learning rates."""
        return grid(self.jobs, RATES[self.work])

    def command(self, again: bool) -> list[str]:
        """Return the command that runs it, or that runs it again after it was interrupted."""
        if self.system == "seedsweep":
            where = ["--name", "peers", "--output", str(self.folder)]
            if again:
                return [ORCHESTRATOR, "sweep", "--resume", *where]
            seeds, rates = f"0-{len(self.axes['seed']) - 1}", ",".join(map(str, self.axes["rate"]))
            words = ["--trainer", f"peers-{self.work}", "--seeds", seeds, "--grid", f"learning_rate={rates}"]
            return [ORCHESTRATOR, "sweep", *words, "--epochs", "1", "--no-reuse", *where]
        words = [self.system, str(self.jobs), str(RATES[self.work]), self.work, str(self.folder)]
        return [sys.executable, "-c", "import peers_drivers; peers_drivers.main()", *words]

    def results(self) -> dict[Point, float]:
        """Return the stored scores; none if the system has stored nothing that can be read."""
        try:
            return {Point(seed, rate): score for seed, rate, score in stored(self.system, self.folder)}
        except (OSError, KeyError, ValueError):
            return {}


class Log:
    """The begins and ends of trainings, as the processes append them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def records(self) -> list[dict[str, Any]]:
        """Return all records so far."""
        return whole_lines(self.path)

    def ended(self) -> Counter[Point]:
        """Return how often each point was trained to its end."""
        return Counter(Point(each["seed"], each["rate"]) for each in self.records() if each["event"] == "end")

    def training(self) -> int | None:
        """Return the process that has just begun to train."""
        last = (self.records() or [{"event": ""}])[-1]
        return int(last["pid"]) if last["event"] == "begin" else None


def descendants() -> list[psutil.Process]:
    """Return the running processes that this one or its children have started, also those whose parent has died."""
    gone = psutil.STATUS_ZOMBIE
    return [each for each in psutil.Process().children(recursive=True) if safely(each.status, gone) != gone]


def safely(read: Callable[[], Any], otherwise: Any) -> Any:
    """Return what a process says, or another value if it has ended meanwhile."""
    try:
        return read()
    except psutil.Error:
        return otherwise


def memory() -> float:
    """Return the memory of all descendants in MB; pages that they share count once."""
    sizes = [safely(each.memory_full_info, None) for each in descendants()]
    return float(sum(size.pss for size in sizes if size is not None)) / 2**20


def sweep_away() -> None:
    """End all descendants, and wait for them."""
    while found := descendants():
        for each in found:
            safely(each.kill, None)
        time.sleep(0.05)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


@dataclass
class Run:
    """One run of a command.

    Attributes:
        seconds: Its wall time.
        status: Its exit status; None if it hung or took too long, and was ended.
        peak: Its peak memory in MB.
        began: When it began, by the monotonic clock.
        spared: Whether the command ended before a process was killed that was to be.
    """

    seconds: float
    status: int | None
    peak: float
    began: float
    spared: bool = False


def run(sweep: Sweep, log: Log, *, again: bool = False, kill: str = "", patience: float) -> Run:
    """Run a sweep's command, and kill a process half-way.

    Args:
        sweep: The sweep.
        log: Where its trainings are logged.
        again: Whether the command was interrupted before.
        kill: What SIGKILL ends after half of the jobs: `worker`, the process that trains, `command`, or nothing.
        patience: Seconds without a begin or an end of a training, after the first, until the command counts as hung.
    """
    peak, sampled, began, size = 0.0, 0.0, time.monotonic(), log.path.stat().st_size
    changed = began + LONGEST
    with (sweep.folder / "output.txt").open("a") as output:
        process = subprocess.Popen(sweep.command(again), stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    while process.poll() is None:
        now = time.monotonic()
        if now - sampled > 0.5:
            peak, sampled = max(peak, memory()), now
        if (found := log.path.stat().st_size) != size:
            size, changed = found, now
        if now - changed > patience or now - began > LONGEST:
            sweep_away()
            return Run(now - began, None, peak, began, spared=bool(kill))
        if kill and log.ended().total() >= sweep.jobs // 2:
            victim = process.pid if kill == "command" else log.training()
            if victim is not None:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    kill = ""
        time.sleep(0.02)
    return Run(time.monotonic() - began, process.returncode, peak, began, spared=bool(kill))


def measure(sweep: Sweep, log: Log, patience: float) -> dict[str, Any]:
    """Run a sweep without interruption, and return its figures."""
    done = run(sweep, log, patience=patience)
    scores = sweep.results()
    if done.status != 0:
        how = "ended" if done.status is None else f"status {done.status}"
        return {"failed": f"{how} after {done.seconds:.0f} s with {len(scores):,} of {sweep.jobs:,} results"}
    records = log.records()
    start = records[0]["at"] - done.began
    training = sum(each["cpu"] for each in records if each["event"] == "end")
    return {
        "wall": done.seconds,
        "start": start,
        "overhead": 1000 * (done.seconds - start - training / PROCESSES) / sweep.jobs,
        "peak": done.peak,
        "twice": sum(count > 1 for count in log.ended().values()),
        "never": sum(point not in scores for point in points(sweep.axes)),
        "scores": scores,
    }


def interrupt(sweep: Sweep, log: Log, kill: str, patience: float) -> dict[str, Any]:
    """Run a sweep of which one process is killed, run it again if a user had to, and return what it cost."""
    first = run(sweep, log, kill=kill, patience=patience)
    if first.spared:
        return {"failed": f"no process was killed in {first.seconds:.0f} s"}
    deadline = time.monotonic() + GRACE
    while kill == "command" and descendants() and time.monotonic() < deadline:
        time.sleep(0.1)
    left = len(descendants())
    wanted = set(points(sweep.axes))
    missing = len(wanted - sweep.results().keys())
    seconds, again = first.seconds, ""
    if first.status != 0:
        second = run(sweep, log, again=True, patience=patience)
        seconds, again = seconds + second.seconds, outcome(second)
    scores = sweep.results()
    return {
        "outcome": outcome(first),
        "left": left,
        "again": again,
        "seconds": seconds,
        "missing": missing,
        "twice": sum(count > 1 for count in log.ended().values()),
        "never": len(wanted - scores.keys()),
        "scores": scores,
    }


def outcome(done: Run) -> str:
    """Return how a command went on after a process was killed."""
    return {None: "hangs", 0: "goes on"}.get(done.status, "stops")


#: The measurements: a title, what is killed, and the columns by their figures. Less is better where there is a format.
PARTS: dict[str, tuple[str, str, dict[str, tuple[str, str]]]] = {
    "network": (
        "{jobs:,} jobs of one epoch",
        "",
        {
            "wall": ("wall time, s", ".1f"),
            "start": ("until the first job, s", ".1f"),
            "overhead": ("overhead a job after that, ms", ".1f"),
            "peak": ("peak memory, MB", ".0f"),
            "twice": ("points trained twice", "d"),
            "never": ("never", "d"),
        },
    ),
}
PARTS["nothing"] = ("{jobs:,} jobs that train nothing", "", PARTS["network"][2])
KILLED = {
    "seconds": ("wall time in all, s", ".1f"),
    "missing": ("results missing before it runs again", "d"),
    "twice": ("points trained twice", "d"),
    "never": ("never", "d"),
}
PARTS["worker"] = (
    "{jobs:,} jobs of one epoch, one training process killed",
    "worker",
    {"outcome": ("the command", ""), "again": ("run again, it", ""), **KILLED},
)
PARTS["command"] = (
    "{jobs:,} jobs of one epoch, the command killed",
    "command",
    {"left": (f"processes left after {GRACE:.0f} s", "d"), "again": ("run again, it", ""), **KILLED},
)


def table(part: str, jobs: int, rows: dict[str, dict[str, Any]]) -> str:
    """Return a part's figures as Markdown; what is less than Seedsweep's is bold."""
    title, _, columns = PARTS[part]
    own = rows.get("seedsweep", {})
    lines = ["| " + " | ".join(["tool", *(heading for heading, _ in columns.values())]) + " |"]
    lines.append("|---|" + "".join("---:|" if form else "---|" for _, form in columns.values()))
    for system, figures in rows.items():
        cells = [figures.get("failed", "")] + [""] * (len(columns) - 1)
        if "failed" not in figures:
            cells = [format(figures[name], form) for name, (_, form) in columns.items()]
            better = [form != "" and figures[name] < own.get(name, 0) for name, (_, form) in columns.items()]
            cells = [f"**{cell}**" if wins else cell for cell, wins in zip(cells, better, strict=True)]
        lines.append(f"| {' | '.join([SYSTEMS[system][0], *cells])} |")
    return f"{title.format(jobs=jobs)}:\n\n" + "\n".join(lines) + "\n"


def version(system: str) -> str | None:
    """Return the version of a system; None if it is not installed."""
    package = SYSTEMS[system][1]
    try:
        return importlib.metadata.version(package) if package else ""
    except importlib.metadata.PackageNotFoundError:
        return None


def about(systems: list[str]) -> str:
    """Return the line that says when, where and with which versions the figures were made."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    versions = dict.fromkeys(f"{SYSTEMS[each][1]} {version(each)}" for each in systems if version(each))
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"`make bench-peers`, {today}: {PROCESSES} cores of {model.partition(': ')[2] or platform.machine()}, "
        f"{platform.system()}, Python {platform.python_version()}, {', '.join(versions)}.\n"
    )


def install(folder: Path) -> None:
    """Let the processes that this one starts find the programs and Seedsweep's trainers, on the same cores."""
    described = folder / "peers-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: peers\nVersion: 1\n")
    trainers = "peers-network = peers_drivers:Network\npeers-nothing = peers_drivers:Nothing"
    (described / "entry_points.txt").write_text(f"[seedsweep.trainers]\n{trainers}\n")
    os.environ.update(QUIET, PYTHONPATH=os.pathsep.join([str(folder), str(HERE)]))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSES])
    # The processes of a command that is killed become children of this one, so that they are counted and ended.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--jobs", type=int, default=64, help="jobs of one epoch, a multiple of 8 (default: %(default)s)"
    )
    parser.add_argument(
        "--nothing", type=int, default=1000, help="jobs that train nothing, a multiple of 10 (default: %(default)s)"
    )
    parser.add_argument(
        "--killed", type=int, default=32, help="jobs where a process is killed, a multiple of 8 (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="default: all")
    parser.add_argument(
        "--patience", type=float, default=20, help="seconds after which a command hangs (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also put the tables into a document")
    return parser.parse_args(arguments)


def case(part: str, system: str, jobs: int, patience: float) -> dict[str, Any]:
    """Return the figures of one system in one part, measured in a folder of its own."""
    if version(system) is None:
        return {"failed": "not installed"}
    work = "nothing" if part == "nothing" else "network"
    kill = PARTS[part][1]
    with tempfile.TemporaryDirectory(prefix="peers") as name:
        os.environ |= {LOG: f"{name}/log", "RAY_TMPDIR": name}
        folder = Path(name) / "results"
        folder.mkdir()
        sweep, log = Sweep(system, jobs, work, folder), Log(Path(name) / "log")
        try:
            return interrupt(sweep, log, kill, patience) if kill else measure(sweep, log, patience)
        finally:
            sweep_away()


def check(scores: dict[Point, float], expected: dict[Point, float], system: str) -> None:
    """Add scores to those of the other systems, which they must equal.

    Raises:
        SystemExit: a point has another score.
    """
    for point, score in scores.items():
        if expected.setdefault(point, score) != score:
            raise SystemExit(f"{system} has {score} for {point}, another system {expected[point]}")


def main() -> None:
    """Measure, print the tables, and write them."""
    options, console = parse(sys.argv[1:]), Console(highlight=False, soft_wrap=True)
    jobs = {"network": options.jobs, "nothing": options.nothing, "worker": options.killed, "command": options.killed}
    figures: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    expected: dict[str, dict[Point, float]] = {"network": {}, "nothing": {}}
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        # Once before: the machine code is compiled, and files are in memory.
        case("network", "pool", RATES["network"], 300)
        for part, (title, _, columns) in PARTS.items():
            for system in options.only:
                row = figures[part][system] = case(part, system, jobs[part], options.patience)
                check(row.pop("scores", {}), expected["nothing" if part == "nothing" else "network"], system)
                shown = row.get("failed") or ", ".join(
                    f"{name} {row[name]:{form}}" for name, (_, form) in columns.items()
                )
                console.print(f"{title.format(jobs=jobs[part])}: {SYSTEMS[system][0]}: {shown}", markup=False)
    said = "\n".join([about(options.only), *(table(part, jobs[part], rows) for part, rows in figures.items())])
    console.print(said, markup=False)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.write is not None:
        before, _, rest = options.write.read_text().partition(START)
        options.write.write_text(f"{before}{START}\n{said}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
