"""How many faults the tests catch: changes one place in the code at a time, and runs the tests on it.

The places are drawn at random, with a fixed seed, from the code whose faults would cost most, or from the files that
are given. The quick tests run first; the first test that fails ends the run. The kernel counts as Python.

The code is changed in a clone, which needs its own packages:

    git clone . /tmp/mutants && make -C /tmp/mutants setup
    python -m tests.support.mutants /tmp/mutants
"""

import argparse
import ast
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

#: The lease and the ledger, the statistics, rows and folder, the gate, the kernel's Python, and the report's numbers.
DRAWN_FROM = (
    "worker/steps/*.py", "worker/redis/*.py", "worker/records/*.py", "worker/training/*.py", "worker/gate/*.py",
    "orchestrator/cluster/*.py", "orchestrator/running/*.py", "orchestrator/analysis/**/*.py",
    "orchestrator/folder/*.py", "orchestrator/report/contents/*.py", "nn/kernel/*.py",
)  # fmt: skip
#: Groups of tests, one after the other.
TESTS = ("tests/unit tests/property tests/simulation", "tests/integration tests/security tests/trainers")
_SWAPPED = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in",
    ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is", ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*",
    ast.And: "or", ast.Or: "and",
}  # fmt: skip


def mutants_of(path: Path) -> Iterator[tuple[Path, str, bytes]]:
    """Yield every mutant of a file: its path, a line that says what is changed, and the changed source."""
    lines = path.read_bytes().splitlines(keepends=True)
    for node in ast.walk(ast.parse(path.read_bytes())):
        new = _replacement(node)
        if new is not None and node.lineno == node.end_lineno:  # type: ignore[attr-defined]
            before, line, after = lines[: node.lineno - 1], lines[node.lineno - 1], lines[node.lineno :]
            changed = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
            yield path, f"{path}:{node.lineno}: {ast.unparse(node)} -> {new}", b"".join([*before, changed, *after])


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


def verdict(root: Path, groups: list[str], seconds: float) -> str:
    """Run groups of tests, and return whether they have `caught` a fault, `survived`, or `not finished` in time."""
    for group in groups:
        options = ["-x", "-q", "-m", "not slow", "-n", "6", "--dist", "worksteal", "--timeout", "60"]
        command = [str(root / ".venv/bin/python"), "-m", "pytest", *options, *group.split()]
        try:
            if subprocess.run(command, cwd=root, capture_output=True, timeout=seconds, check=False).returncode:
                return "caught"
        except subprocess.TimeoutExpired:
            return "not finished"
    return "survived"


def main() -> None:
    """Draw the mutants, run them, and print one line for each and the count."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("root", type=Path, help="the clone that is changed")
    parser.add_argument("files", nargs="*", default=DRAWN_FROM, help="patterns of files in it")
    parser.add_argument("--tests", action="append", help="a group of tests; the groups run one after the other")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--seconds", type=float, default=600.0, help="the longest run of a group of tests")
    given = parser.parse_args()
    groups = given.tests or list(TESTS)
    if verdict(given.root, groups, given.seconds) != "survived":
        raise SystemExit("The tests do not pass on the unchanged code")
    paths = sorted({path for pattern in given.files for path in given.root.glob(pattern)})
    places = [mutant for path in paths for mutant in mutants_of(path)]
    counted: Counter[str] = Counter()
    for path, change, source in random.Random(given.seed).sample(places, min(given.count, len(places))):
        unchanged = path.read_bytes()
        try:
            path.write_bytes(source)
            outcome = verdict(given.root, groups, given.seconds)
        finally:
            path.write_bytes(unchanged)
        counted[outcome] += 1
        print(f"{outcome}: {change}", flush=True)
    print(", ".join(f"{number} {outcome}" for outcome, number in counted.items()))


if __name__ == "__main__":
    main()
