"""Sums up a session: `python -m tests.chaos.summary` puts its figures into docs/explanation/guarantees.md."""

import json
import statistics
import sys
from collections import Counter
from typing import Any

from tests.chaos.history import Event, read
from tests.chaos.plan import FAULTS
from tests.support.paths import ROOT

#: Histories and the summary of the last session; not kept in Git.
REPORTS = ROOT / "build" / "chaos"
#: The figures that the document shows, and the document.
RECORDED = ROOT / "docs" / "chaos.json"
DOCUMENT = ROOT / "docs" / "explanation" / "guarantees.md"
#: So many runs strike with every kind of fault; a session of fewer may miss one.
LONG_RUNS = 100
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


def summarize(histories: list[list[Event]]) -> dict[str, Any]:
    """Return the counts and times of these runs."""
    checked = [event for history in histories for event in history if event["event"] == "checked"]
    kinds = Counter(kind for event in checked for kind, _ in event["violations"])
    return {
        "runs": len(histories),
        "completed": len(checked),
        "jobs": sum(event["jobs"] for event in checked),
        "attempts": sum(event["attempts"] for event in checked),
        "submitted_again": sum(event["submitted_again"] for event in checked),
        "lost": kinds.pop("lost", 0),
        "double": kinds.pop("double", 0),
        "mismatches": kinds.pop("mismatch", 0),
        "other_violations": kinds.total(),
        "faults": {fault: _of_fault(fault, histories) for fault in FAULTS},
    }


def _of_fault(fault: str, histories: list[list[Event]]) -> dict[str, Any]:
    events = [event for history in histories for event in history if event.get("fault") == fault]
    recovered = [event for event in events if event["event"] == "recovery" and event["seconds"] is not None]
    alone = [event["seconds"] for event in recovered if event["alone"]]
    return {
        "struck": sum(event["event"] == "over" and event["struck"] for event in events),
        "alone": len(alone),
        "median_seconds": round(statistics.median(alone), 1) if alone else None,
        "worst_seconds": round(max(alone), 1) if alone else None,
        # With other faults on top, counted from the last of them.
        "worst_seconds_of_all": round(max(event["waited"] for event in recovered), 1) if recovered else None,
    }


def never_struck(summary: dict[str, Any]) -> list[str]:
    """Return the kinds of faults that never struck in a long session; none in a short one."""
    if summary["runs"] < LONG_RUNS:
        return []
    return [name for name, fault in summary["faults"].items() if not fault["struck"]]


def render(summary: dict[str, Any]) -> str:
    """Return a summary as Markdown."""
    struck = sum(fault["struck"] for fault in summary["faults"].values())
    lines = [
        f"{summary['runs']} runs, {summary['jobs']:,} jobs, {summary['attempts']:,} attempts, {struck:,} faults: "
        f"**{summary['lost']} lost, {summary['double']} counted twice, {summary['mismatches']} with other weights**, "
        f"{summary['other_violations']} other violations. {summary['submitted_again']} messages were lost by Redis or "
        "by a worker that was killed or cut off while it took them; the sweeps noticed, and submitted them again.",
        "",
        "| fault | struck | work went on after (median) | worst | worst under several faults |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, fault in summary["faults"].items():
        times = (_seconds(fault[which]) for which in ("median_seconds", "worst_seconds", "worst_seconds_of_all"))
        lines.append(f"| {name} | {fault['struck']} | {' | '.join(times)} |")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def write_into(document: str, rendered: str) -> str:
    """Return the document with its figures replaced."""
    before, rest = document.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{rendered}\n{END}{after}"


def summarize_session() -> dict[str, Any]:
    """Return the summary of the last session's histories."""
    return summarize([read(path) for path in sorted(REPORTS.glob("*.jsonl"))])


def main() -> int:
    """Record the last session's figures, if all its runs were completed."""
    summary = summarize_session()
    if not summary["runs"] or summary["completed"] < summary["runs"]:
        print(f"{summary['completed']} of {summary['runs']} runs were completed: run `make chaos` first")
        return 1
    if missing := never_struck(summary):
        print(f"of {summary['runs']} runs, none was struck by: {', '.join(missing)}")
        return 1
    RECORDED.write_text(json.dumps(summary, indent=1) + "\n")
    DOCUMENT.write_text(write_into(DOCUMENT.read_text(), render(summary)))
    print(render(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
