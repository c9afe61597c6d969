"""Writes a leaderboard: as a table of texts for terminals and Markdown, as CSV and as JSON.

`orchestrator.analysis.leaderboard.board.Standing` declares the columns and fields of a configuration.
"""

import csv
import io
import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nn.errors import InvalidInputError
from nn.options import describe
from orchestrator.analysis.leaderboard.board import CALIBRATED_SEEDS, FIGURES, NONE, Column, Leaderboard, Standing
from orchestrator.analysis.leaderboard.scores import OWN_SPLITS, Entry
from orchestrator.analysis.statistics.intervals import CHOSEN
from orchestrator.text import counted
from worker.text import csv_cell
from worker.trainers.protocol import Metric


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        notes: Lines that stand above it.
        headings: One for each column.
        rows: The cells of each row, one for each column.
        spare: Headings of the columns that are dropped on a narrow terminal, in this order.
    """

    notes: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    spare: tuple[str, ...] = ()


# A row for each configuration


def arranged(board: Leaderboard, sort: str = "rank", top: int | None = None) -> tuple[Standing, ...]:
    """Return the rows in another order, or the first of them. Ranks stay; ties keep the order of the ranks.

    Args:
        board: The leaderboard.
        sort: A name of `sortable`, or an option that varies.
        top: How many rows to return; None for all.

    Raises:
        InvalidInputError: there is nothing of this name to sort by.
    """
    model, varying = board.names.model, board.names.varying
    # As words that pick jobs: `hidden` as well as `hidden_layer_sizes`.
    named = {spelling: name for name in varying for spelling in (describe.word(model, name), name)}
    known = sortable()
    if sort not in known and sort not in named:
        options = ", ".join(describe.label(model, name) for name in varying) or "none"
        raise InvalidInputError("sort", sort, f"one of {', '.join(known)}, or an option that varies ({options})")
    if sort in known:
        first = known[sort].first
        sign = -1.0 if first == "high" or (first == "score" and board.names.metric.higher_is_better) else 1.0
        rows = sorted(board.standings, key=lambda each: _number(getattr(each, sort), sign))
    else:
        rows = sorted(board.standings, key=lambda each: _order(each.options[named[sort]]))
    return tuple(rows[:top])


def _number(value: float | None, sign: float) -> float:
    """Return a sort key that puts missing values last; the highest value first if the sign is negative."""
    return math.inf if value is None else sign * value


def _order(value: object) -> tuple[bool, float, str]:
    """Return a sort key for the values of an option: numbers by size, then others by their text."""
    return (False, float(value), str(value)) if isinstance(value, (int, float)) else (True, 0.0, str(value))


def sortable() -> dict[str, Column]:
    """Return the columns of figures in their order, by the figures' names: rows can be sorted by each."""
    declared = [each.column for each in FIGURES.values() if each.column is not None]
    return {each.name: each for each in sorted(declared, key=lambda each: each.order)}


def columns(board: Leaderboard) -> list[Column]:
    """Return all columns, in their order: the rank, the options that vary, and the other figures."""

    def of_option(name: str) -> Column:
        heading = describe.heading(board.names.model, name)
        return Column(heading, "", lambda _, each: board.names.shown(name, each.options[name]))

    rank, *others = sortable().values()
    return [rank, *map(of_option, board.names.varying), *others]


def by_configuration(
    board: Leaderboard, standings: Sequence[Standing], *, wide: bool = False, further: Sequence[Metric] = ()
) -> TextTable:
    """Return a row for each configuration.

    Args:
        board: The leaderboard.
        standings: Which rows, and in which order.
        wide: Whether to show all columns.
        further: Metrics whose means are shown, too.
    """
    shown = [
        each
        for each in columns(board)
        if wide or each.tables == "all" or (each.tables == "telling" and each.is_told(board, board.standings))
    ]
    shown += map(_of_metric, further)
    spare = [] if wide else [(each.spare, each.heading) for each in shown if each.spare is not None]
    return _table(board, standings, shown, tuple(heading for _, heading in sorted(spare)))


def _of_metric(metric: Metric) -> Column:
    heading = f"{metric.name}{', %' if metric.is_share else ''}"
    return Column(heading, "", lambda _, each: metric.number(each.metrics.get(metric.name)), spare=9)


def for_report(board: Leaderboard, standings: Sequence[Standing]) -> tuple[TextTable, dict[str, str]]:
    """Return a table of the columns that are informative for some row, and the meanings of its headings.

    Args:
        board: The leaderboard.
        standings: Which rows, and in which order.
    """
    shown = [each for each in columns(board) if each.tables == "all" or each.is_told(board, standings)]
    return _table(board, standings, shown), {each.heading: each.meaning for each in shown if each.meaning}


def _table(
    board: Leaderboard, standings: Sequence[Standing], shown: Sequence[Column], spare: tuple[str, ...] = ()
) -> TextTable:
    notes = (_what(board), *_explained(board), *_left_out(len(standings), len(board.standings), "configuration"))
    rows = tuple(tuple(each.text(board, standing) for each in shown) for standing in standings)
    return TextTable(notes, tuple(each.heading for each in shown), rows, spare)


def _what(board: Leaderboard) -> str:
    metric = board.names.metric
    name = metric.name[:1].upper() + metric.name[1:]
    unit = ", in %" if metric.is_share else ""
    return f"{name} {board.judgement.scoring.phrase}{unit}{'' if metric.higher_is_better else ' (lower is better)'}"


def _explained(board: Leaderboard) -> list[str]:
    standings = board.standings
    methods = {(each.method or "").removesuffix(CHOSEN) for each in standings}
    found, interval = [], "interval: where the mean over all seeds is, at 95 %"
    if "t" in methods:
        found.append(f"{interval} (Student's t)")
    if "confidence sequence" in methods:
        found.append(f"{interval} however often one looks (confidence sequence)")
    if any((each.method or "").endswith(CHOSEN) for each in standings):
        found.append("that of the first row allows for its choice")
    if any(each.diverged for each in standings):
        found.append(
            "n, mean and interval: of the jobs that trained; for the rank, one that diverged counts as the worst"
        )
    lines = ["; ".join(found)] if found else []
    if len(standings) > 1 and any(each.regret is not None for each in standings):
        lines.append(f"regret: {sortable()['regret'].meaning}")
    if any(each.p_best is not None and each.n < CALIBRATED_SEEDS for each in standings):
        lines.append(f"P(best): ~ marks rough values, from fewer than {CALIBRATED_SEEDS} seeds")
    return [*lines, *([OWN_SPLITS] if any(each.scored.draws_split for each in standings) else [])]


def _left_out(shown: int, known: int, thing: str) -> list[str]:
    return [f"{shown} of {counted(known, thing)}"] if shown < known else []


# A row for each job


def ranked_jobs(board: Leaderboard) -> list[tuple[Standing, Entry]]:
    """Return all jobs, each with its configuration: those that trained by their score, then the others."""
    sign = -1.0 if board.names.metric.higher_is_better else 1.0
    jobs = [(standing, entry) for standing in board.standings for entry in standing.jobs]
    order = ("succeeded", "diverged", "failed", "cancelled", "missing")
    return sorted(jobs, key=lambda pair: (order.index(pair[1].status), _number(pair[1].score, sign)))


def by_job(board: Leaderboard, top: int | None = None) -> TextTable:
    """Return a row for each job, the best score first. Equals keep the order of their configurations, then of seeds."""
    jobs = ranked_jobs(board)
    shown = jobs[:top]
    rows = tuple(
        (
            str(rank),
            str(entry.seed),
            *(board.names.shown(name, value) for name, value in standing.options.items()),
            board.names.metric.number(entry.score),
            entry.status,
            NONE if entry.weights_sha256 is None else entry.weights_sha256[:12],
        )
        for rank, (standing, entry) in enumerate(shown, 1)
    )
    options = (describe.heading(board.names.model, name) for name in board.names.varying)
    luck = "The best of many jobs owes its place to its seed, too"
    if (expected := board.standings[0].honest_mean) is not None:
        luck = f"{luck}: expect {board.names.metric.shown(expected)} of the leading configuration's next one"
    notes = (_what(board), luck, *_left_out(len(shown), len(jobs), "job"))
    headings = ("rank", "seed", *options, "score", "status", "weights")
    return TextTable(notes, headings, rows, ("weights", "status", "rank"))


# Formats


def as_dict(board: Leaderboard, standings: Sequence[Standing] | None = None) -> dict[str, Any]:
    """Return what `leaderboard.json` has: `common`, `verdict`, and `rows`, each with its jobs.

    Args:
        board: The leaderboard.
        standings: Which rows, and in which order; None for all by rank.
    """
    rows = board.standings if standings is None else standings
    head = {"common": board.common.model_dump(), "verdict": board.verdict.model_dump()}
    return {**head, "rows": [each.as_dict() for each in rows]}


def to_json(board: Leaderboard) -> str:
    """Return the content of `leaderboard.json`."""
    # `json.dumps` keeps all pieces until the end: several times the text.
    text = io.StringIO()
    json.dump(as_dict(board), text, indent=2, allow_nan=False)
    return text.getvalue() + "\n"


def to_csv(board: Leaderboard, standings: Sequence[Standing] | None = None) -> str:
    """Return the content of `leaderboard.csv`: no jobs and no verdict, and an empty field for a missing number.

    The options that vary come after the rank. One that is named like a figure gets a prefix: `options.rank`. Means of
    all metrics come last, if there are several: `metrics.loss`. Arguments: as for `as_dict`.
    """
    rank, *names = FIGURES
    further = metrics_of(board)
    rows = [
        (
            *(each.rank, *_options(board, each), *map(csv_cell, list(each.figures.values())[1:])),
            *(csv_cell(each.metrics.get(name)) for name in further),
        )
        for each in (board.standings if standings is None else standings)
    ]
    headings = (csv_cell(f"metrics.{name}") for name in further)
    return _csv((rank, *_headings(board, FIGURES), *names, *headings), rows)


def metrics_of(board: Leaderboard) -> tuple[str, ...]:
    """Return the names of the metrics that some configuration has; empty if there is one only."""
    names = dict.fromkeys(name for each in board.standings for name in each.metrics)
    return tuple(names) if len(names) > 1 else ()


def jobs_as_dict(board: Leaderboard, top: int | None = None) -> dict[str, Any]:
    """Return `common`, `verdict`, and as `rows` the first jobs by their score, each with its options that vary."""
    jobs = enumerate(ranked_jobs(board)[:top], 1)
    rows = [{"rank": rank, "options": standing.options, **entry.model_dump()} for rank, (standing, entry) in jobs]
    return as_dict(board, ()) | {"rows": rows}


def jobs_to_csv(board: Leaderboard, top: int | None = None) -> str:
    """Return the first jobs by their score as CSV."""
    names = tuple(name for name, info in Entry.model_fields.items() if not info.exclude)
    rows = [
        (rank, *_options(board, standing), *(csv_cell(getattr(entry, name)) for name in names))
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
    for character in "\\|*_`~<[]":
        text = text.replace(character, f"\\{character}")
    return text


def _headings(board: Leaderboard, taken: Collection[str]) -> tuple[str, ...]:
    return tuple(f"options.{name}" if name in taken else name for name in board.names.varying)


def _options(board: Leaderboard, standing: Standing) -> tuple[Any, ...]:
    values = (standing.options[name] for name in board.names.varying)
    return tuple(csv_cell(value, describe.written(value)) for value in values)


def _csv(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([headings, *rows])
    return text.getvalue()
