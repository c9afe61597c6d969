"""Writes a leaderboard as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from nn.options.describe import written
from orchestrator.analysis.leaderboard.board import Leaderboard, Standing
from orchestrator.analysis.leaderboard.scores import Entry
from orchestrator.analysis.leaderboard.table import TextTable, ranked_jobs

#: The columns of CSV files besides the options.
FIGURES = tuple(name for name in Standing.model_fields if name not in ("options", "jobs"))


def as_dict(board: Leaderboard, standings: Sequence[Standing] | None = None) -> dict[str, Any]:
    """Return what `leaderboard.json` has: `common`, `verdict`, and `rows`, each with its jobs.

    Args:
        board: The leaderboard.
        standings: Which rows, and in which order; None for all by rank.
    """
    rows = board.standings if standings is None else standings
    return {**_head(board), "rows": [standing.model_dump() for standing in rows]}


def to_json(board: Leaderboard) -> str:
    """Return the content of `leaderboard.json`."""
    return json.dumps(as_dict(board), indent=2, allow_nan=False) + "\n"


def to_csv(board: Leaderboard, standings: Sequence[Standing] | None = None) -> str:
    """Return the content of `leaderboard.csv`: no jobs and no verdict, and an empty field for a missing number.

    The options that vary come after the ranks. One that is named like a figure gets a prefix: `options.rank`.
    Arguments: as for `as_dict`.
    """
    ranks, rest = FIGURES[:3], FIGURES[3:]
    rows = [
        (*_figures(each, ranks), *_options(board, each), *_figures(each, rest))
        for each in (board.standings if standings is None else standings)
    ]
    return _csv((*ranks, *_headings(board, FIGURES), *rest), rows)


def jobs_as_dict(board: Leaderboard, top: int | None = None) -> dict[str, Any]:
    """Return `common`, `verdict`, and as `rows` the first jobs by their score, each with its options that vary."""
    jobs = enumerate(ranked_jobs(board)[:top], 1)
    rows = [{"rank": rank, "options": standing.options, **entry.model_dump()} for rank, (standing, entry) in jobs]
    return {**_head(board), "rows": rows}


def jobs_to_csv(board: Leaderboard, top: int | None = None) -> str:
    """Return the first jobs by their score as CSV."""
    names = tuple(Entry.model_fields)
    rows = [
        (rank, *_options(board, standing), *(getattr(entry, name) for name in names))
        for rank, (standing, entry) in enumerate(ranked_jobs(board)[:top], 1)
    ]
    return _csv(("rank", *_headings(board, ("rank", *names)), *names), rows)


def to_markdown(board: Leaderboard, table: TextTable) -> str:
    """Return the verdict, the notes and a table in Markdown, as GitHub renders it."""
    lines = [f"**{_escaped(board.verdict.sentence)}**", "", *(f"{_escaped(note)}." for note in table.notes), ""]
    lines += [f"| {' | '.join(map(_escaped, table.headings))} |", f"|{'|'.join('---:' for _ in table.headings)}|"]
    lines += [f"| {' | '.join(map(_escaped, row))} |" for row in table.rows]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Escape what Markdown would read as markup."""
    for character in "\\|*_`~<":
        text = text.replace(character, f"\\{character}")
    return text


def _head(board: Leaderboard) -> dict[str, Any]:
    return {"common": board.common.model_dump(), "verdict": board.verdict.model_dump()}


def _headings(board: Leaderboard, taken: Collection[str]) -> tuple[str, ...]:
    return tuple(f"options.{name}" if name in taken else name for name in board.names.varying)


def _options(board: Leaderboard, standing: Standing) -> tuple[str, ...]:
    return tuple(written(standing.options[name]) for name in board.names.varying)


def _figures(standing: Standing, names: Iterable[str]) -> tuple[Any, ...]:
    return tuple(getattr(standing, name) for name in names)


def _csv(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue()
