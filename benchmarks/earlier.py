"""Measure how long sweeps take in this version, as committed, and in an earlier one.

Each version has a clone of its own, with the packages that its lock file pins for users: those of a developer slow the
Redis client down. In each round, both run the same sweep with the real command on an embedded cluster, in an order that
alternates. The first round only warms up. A ratio above 1 means that this version takes longer.

Example:
    python3 benchmarks/earlier.py --rounds 3 --json earlier.json
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_SHORT = "--seeds 0-199 --learning-rates 0.01,0.02,0.03,0.04,0.05 --epochs 1"
#: The arguments of each sweep, as the earlier version calls them.
SWEEPS = {
    "64 jobs of an epoch": "--seeds 0-63 --learning-rates 0.03 --epochs 1",
    "1,000 jobs of 10 ms": f"{_SHORT} --limit 2000 --hidden 16,16",
    "1,000 jobs of 20 ms": f"{_SHORT} --limit 500",
}
_RENAMED = {"--hidden": "--hidden-layer-sizes"}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default="fd6ca38", help="the earlier version (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds after the first one (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    return parser.parse_args(arguments)


def install(commit: str, folder: Path) -> Path:
    """Clone a commit, install what it needs, and return its command."""
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, folder], check=True)
    subprocess.run(["git", "-C", folder, "checkout", "--quiet", commit], check=True)
    subprocess.run(["make", "--silent", "-C", folder, ".venv/.runtime"], check=True)
    return folder / ".venv/bin/orchestrator"


def seconds(command: Path, arguments: list[str]) -> float:
    """Return how long a sweep takes, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        swept = subprocess.run(
            [command, "sweep", *arguments, "--name", "x"], cwd=folder, capture_output=True, text=True
        )
        took = time.perf_counter() - started
    if swept.returncode:
        raise SystemExit(f"{command} sweep ended with status {swept.returncode}: {swept.stderr[-500:]}")
    return took


def main(arguments: list[str]) -> None:
    """Measure, and print the table."""
    options = parse(arguments)
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        earlier = install(options.commit, Path(folder, "earlier"))
        now = install("HEAD", Path(folder, "now"))
        print(f"{'':22}{options.commit[:10]:>10}{'HEAD':>10}{'ratio':>8}{'least':>8}{'most':>8}", flush=True)
        for name, words in SWEEPS.items():
            old, new = words.split(), [_RENAMED.get(word, word) for word in words.split()]
            times: list[tuple[float, float]] = []
            for number in range(options.rounds + 1):
                if number % 2:
                    before, after = seconds(earlier, old), seconds(now, new)
                else:
                    after, before = seconds(now, new), seconds(earlier, old)
                times.append((before, after))
            befores, afters = zip(*times[1:], strict=True)
            ratios = [after / before for before, after in times[1:]]
            row = [statistics.median(each) for each in (befores, afters, ratios)] + [min(ratios), max(ratios)]
            figures[name] = dict(zip(("earlier", "now", "ratio", "least", "most"), row, strict=True))
            print(f"{name:22}{row[0]:10.2f}{row[1]:10.2f}" + "".join(f"{each:8.2f}" for each in row[2:]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
