"""How many faults the tests catch: changes one place in the code at a time, and runs the tests that execute its line.

The places are drawn at random, with a fixed seed, from the code whose faults would cost most. A test is run on a mutant
if, by the contexts of a coverage file, it executes the changed line, or the function or file of one that is executed at
the import; the first test that fails ends the run. A process that a test kills leaves no coverage, and compiled code
none either: what survives in a worker or in the kernel is run again by hand, on all tests of its area.

The code is changed in a clone, which needs its own packages:

    git clone . /tmp/mutants && make -C /tmp/mutants setup
    python -m tests.support.mutants /tmp/mutants --coverage .coverage
"""

from __future__ import annotations

import argparse
import ast
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: The lease and the ledger, the statistics, rows and folder, the gate, the kernel's Python, and the report's numbers.
DRAWN_FROM = (
    "worker/steps/*.py", "worker/redis/*.py", "worker/records/*.py", "worker/training/*.py", "worker/gate/*.py",
    "orchestrator/cluster/*.py", "orchestrator/running/*.py", "orchestrator/analysis/**/*.py",
    "orchestrator/folder/*.py", "orchestrator/report/contents/*.py", "nn/kernel/*.py",
)  # fmt: skip
_SWAPPED = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in",
    ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is", ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*",
    ast.And: "or", ast.Or: "and",
}  # fmt: skip


class Mutant(NamedTuple):
    """A change of the code: in a file, the text from `start` to `end` of a line becomes `new`."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.old} -> {self.new}"


def mutants_of(path: Path, root: Path) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    source = path.read_text()
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        new = _replacement(node)
        if new is None or node.lineno != node.end_lineno:  # type: ignore[attr-defined]
            continue
        line, start, end = node.lineno, node.col_offset, node.end_col_offset  # type: ignore[attr-defined]
        yield Mutant(str(path.relative_to(root)), line, start, end, lines[line - 1].encode()[start:end].decode(), new)


def _replacement(node: ast.AST) -> str | None:
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return f"{ast.unparse(left)} {_SWAPPED[type(operator)]} {ast.unparse(right)}"
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _SWAPPED:
            return f"({ast.unparse(left)} {_SWAPPED[type(operator)]} {ast.unparse(right)})"
        case ast.BoolOp(op=operator, values=values):
            return f"({f' {_SWAPPED[type(operator)]} '.join(f'({ast.unparse(value)})' for value in values)})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"({ast.unparse(operand)})"
        case ast.Constant(value=bool() as value):
            return str(not value)
        case ast.Constant(value=int() | float() as value):
            return repr(value + 1)
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            return "pass"
        case ast.Return(value=ast.expr()):
            return "return None"
    return None


def executing(coverage: Path) -> dict[tuple[str, int], set[str]]:
    """Return the tests that execute each line, by file and line, from a coverage file with branches and contexts."""
    found: dict[tuple[str, int], set[str]] = {}
    with sqlite3.connect(coverage) as database:
        rows = database.execute(
            "select file.path, abs(arc.tono), context.context from arc join file on file.id = arc.file_id "
            "join context on context.id = arc.context_id where context.context like '%::%'"
        )
        for path, line, context in rows:
            # A process that was started for a test, and one that was forked for it, name it in two ways.
            found.setdefault((path, line), set()).add(context.rpartition("|")[2])
    return found


def tests_for(mutant: Mutant, root: Path, by_line: dict[tuple[str, int], set[str]]) -> list[str]:
    """Return the tests that may catch a mutant, the quick ones first."""
    tree = ast.parse((root / mutant.path).read_text())
    around = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _holds(node, mutant.line)]
    ranges = [
        (mutant.line, mutant.line),
        *((node.lineno, node.end_lineno or 0) for node in reversed(around)),
        (1, 9999),
    ]
    for first, last in ranges:
        tests = set().union(*(by_line.get((mutant.path, line), ()) for line in range(first, last + 1)))
        if tests:
            return sorted(tests, key=lambda test: ("/unit/" not in test, test))
    return []


def _holds(node: ast.FunctionDef, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or 0)


def verdict(mutant: Mutant, tests: list[str], root: Path, seconds: float) -> str:
    """Run the tests on a mutant and return `caught`, `survived`, or `not finished` in so many seconds."""
    path = root / mutant.path
    source = path.read_text()
    lines = source.encode().splitlines(keepends=True)
    line = lines[mutant.line - 1]
    lines[mutant.line - 1] = line[: mutant.start] + mutant.new.encode() + line[mutant.end :]
    command = [str(root / ".venv/bin/python"), "-m", "pytest", "-x", "-q", "-m", "not slow", "--timeout", "60", *tests]
    try:
        path.write_bytes(b"".join(lines))
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return "not finished"
    finally:
        path.write_text(source)
    return "survived" if done.returncode == 0 else "caught"


def _check(tests: set[str], root: Path) -> None:
    """Refuse names of tests that the clone does not have: pytest would fail on every mutant."""
    command = [str(root / ".venv/bin/python"), "-m", "pytest", "--collect-only", "-qq", *tests]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The clone does not have all tests of the coverage file: {done.stdout[-1000:]}{done.stderr}")


def main() -> None:
    """Draw the mutants, run them, and print one line for each and the count."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("root", type=Path, help="the clone that is changed")
    parser.add_argument("--coverage", type=Path, required=True, help="a coverage file of its tests, with contexts")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--part", default="0/1", help="run each n-th mutant only, from the k-th on: k/n")
    parser.add_argument("--seconds", type=float, default=600.0, help="the longest run of the tests on one mutant")
    given = parser.parse_args()
    by_line = executing(given.coverage)
    paths = sorted({path for pattern in DRAWN_FROM for path in given.root.glob(pattern)})
    places = [mutant for path in paths for mutant in mutants_of(path, given.root)]
    drawn = random.Random(given.seed).sample(places, given.count)
    _check(set().union(*by_line.values()), given.root)
    first, step = map(int, given.part.split("/"))
    counted = {"caught": 0, "survived": 0, "not executed": 0, "not finished": 0}
    for mutant in drawn[first::step]:
        tests = tests_for(mutant, given.root, by_line)
        outcome = verdict(mutant, tests, given.root, given.seconds) if tests else "not executed"
        counted[outcome] += 1
        print(f"{outcome}: {mutant} ({len(tests)} tests)", flush=True)
    print(", ".join(f"{number} {outcome}" for outcome, number in counted.items()))


if __name__ == "__main__":
    main()
