"""A leaderboard as a table of texts, for terminals and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nn.errors import InvalidInputError
from nn.options import describe
from orchestrator.analysis.leaderboard.board import Leaderboard, Standing
from orchestrator.analysis.leaderboard.scores import Entry
from orchestrator.text import counted

#: What rows can be sorted by, besides the options that vary; all ascending but these.
SORTS = ("rank", "n", "mean", "p_best", "diverged", "failed", "cancelled", "std")
DESCENDING = ("n", "p_best", "diverged", "failed", "cancelled")
#: From so many seeds on, P(best) is calibrated. Below, tables mark it as rough.
CALIBRATED_SEEDS = 10
NONE = "-"


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        notes: Lines that stand above it.
        headings: One for each column.
        rows: The cells of each row, one for each column.
        spare: Headings of columns that a narrow terminal leaves out, the first of them first.
    """

    notes: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    spare: tuple[str, ...] = ()


def _shows_something(cell: str) -> bool:
    return cell not in ("0", NONE)


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard, for every table of it.

    Attributes:
        heading: Its heading.
        meaning: What it is, for the report; empty for an option, whose heading says it.
        cell: What it shows of a configuration.
        always: Whether tables that are not wide have it.
        spare: A narrow terminal leaves out columns by this number, the lowest first; None for one that stays.
        tells: Whether a configuration has something to say in it: the report has only columns in which one does.
    """

    heading: str
    meaning: str
    cell: Callable[[Standing], str]
    always: bool = True
    spare: int | None = None
    tells: Callable[[Standing], bool] | None = None

    def is_told(self, standings: Sequence[Standing]) -> bool:
        """Return whether some configuration has something to say in it."""
        tells = self.tells or (lambda each: _shows_something(self.cell(each)))
        return any(map(tells, standings))


def arranged(board: Leaderboard, sort: str = "rank", top: int | None = None) -> tuple[Standing, ...]:
    """Return the rows in another order, or the first of them. Ranks stay; equals keep the order of their ranks.

    Args:
        board: The leaderboard.
        sort: One of `SORTS`, or an option that varies.
        top: How many rows to return; None for all.

    Raises:
        InvalidInputError: there is nothing of this name to sort by.
    """
    if sort not in SORTS and sort not in board.names.varying:
        allowed = f"one of {', '.join(SORTS)}, or an option that varies ({', '.join(board.names.varying) or 'none'})"
        raise InvalidInputError("sort", sort, allowed)
    if sort in SORTS:
        better = board.metric.higher_is_better
        descending = sort in DESCENDING or (sort == "mean" and better)
        rows = sorted(board.standings, key=lambda each: _number(getattr(each, sort), descending=descending))
    else:
        order = {value: i for i, value in enumerate(sorted(board.names.varying[sort], key=_order))}
        rows = sorted(board.standings, key=lambda each: order[each.options[sort]])
    return tuple(rows[:top])


def _number(value: float | None, *, descending: bool) -> float:
    """Return a sort key that puts what is missing last."""
    if value is None:
        return math.inf
    return -value if descending else value


def _order(value: object) -> tuple[bool, float, str]:
    """Return a sort key for the values of an option: numbers by size, then others by their text."""
    is_number = isinstance(value, (int, float))
    return (not is_number, float(value) if isinstance(value, (int, float)) else 0.0, str(value))


def by_configuration(board: Leaderboard, standings: Sequence[Standing], *, wide: bool = False) -> TextTable:
    """Return a row for each configuration.

    Columns about trouble, and P(best), appear where some configuration has them.

    Args:
        board: The leaderboard.
        standings: Which rows, and in which order.
        wide: Whether to show all columns.
    """
    shown = [each for each in columns(board) if each.always or wide]
    rows = tuple(tuple(each.cell(standing) for each in shown) for standing in standings)
    spare = [] if wide else [(each.spare, each.heading) for each in shown if each.spare is not None]
    headings = tuple(each.heading for each in shown)
    return TextTable(notes(board, len(standings)), headings, rows, tuple(heading for _, heading in sorted(spare)))


def notes(board: Leaderboard, shown: int) -> tuple[str, ...]:
    """Return what stands above a table of so many configurations: what its numbers are."""
    return (_what(board), *_explained(board), *_left_out(shown, len(board.standings), "configuration"))


def columns(board: Leaderboard) -> list[Column]:
    """Return all columns, in their order."""
    metric, names = board.metric, board.names

    def yes(_: Standing) -> bool:
        return True

    def of_option(name: str) -> Column:
        heading = describe.heading(names.model, name)
        return Column(heading, "", lambda each: names.shown(name, each.options[name]), tells=yes)

    def of_score(heading: str, meaning: str, name: str) -> Column:
        return Column(heading, meaning, lambda each: _shown(metric.number, getattr(each, name)), always=False)

    def of_count(name: str, meaning: str, spare: int) -> Column:
        has_some = any(getattr(each, name) for each in board.standings)
        return Column(name, meaning, lambda each: str(getattr(each, name)), has_some, spare)

    def interval(low: str, high: str) -> Callable[[Standing], str]:
        return lambda each: _interval(metric.number, getattr(each, low), getattr(each, high))

    return [
        Column("rank", "the place by the mean; in brackets, from which to which it may belong", _rank),
        *(of_option(name) for name in names.varying),
        Column("n", "jobs that trained, of all jobs", lambda each: f"{each.n}/{each.planned}", spare=6),
        Column("mean", "the mean over the jobs that trained", lambda each: _shown(metric.number, each.mean), tells=yes),
        Column("interval", "where the mean over all seeds is", interval("low", "high"), tells=yes),
        Column(
            "best?",
            "whether the configuration can be the best",
            lambda each: _may_be_best(each, decided=board.verdict.decided),
            len(board.standings) > 1,
            spare=5,
        ),
        Column(
            "P(best)",
            "the probability that it is the best",
            _p_best,
            any(each.p_best is not None for each in board.standings),
            spare=4,
        ),
        of_count("diverged", "jobs that diverged", spare=3),
        Column(
            "rate of divergence",
            "which share of all seeds may diverge, at 95 %",
            _rate,
            always=False,
            tells=lambda each: each.diverged > 0,
        ),
        of_count("failed", "jobs without a result, because training failed", spare=1),
        of_count("cancelled", "jobs without a result, because they were cancelled", spare=2),
        Column(
            "on new samples",
            "the interval for new samples, too: the other one is for these validation samples",
            interval("low_new", "high_new"),
            always=False,
        ),
        of_score("honest", "what the first row is worth, had no seed had a part in choosing it", "honest_mean"),
        of_score("sd", "the standard deviation over the seeds", "std"),
        of_score("best seed", "the best result of a seed", "best"),
        of_score("worst seed", "the worst result of a seed", "worst"),
    ]


def _rank(standing: Standing) -> str:
    low, high = standing.rank_low, standing.rank_high
    return str(standing.rank) if low is None or low == high else f"{standing.rank} ({low}-{high})"


def _may_be_best(standing: Standing, *, decided: bool) -> str:
    if not standing.contender:
        return "no"
    return "yes" if decided else "maybe"


def _p_best(standing: Standing) -> str:
    if standing.p_best is None:
        return NONE
    text = f"{standing.p_best:.2f}"
    # Neither is certain.
    text = {"0.00": "<0.01", "1.00": ">0.99"}.get(text, text)
    return f"~{text}" if standing.n < CALIBRATED_SEEDS else text


def _rate(standing: Standing) -> str:
    return _interval(lambda rate: f"{100 * rate:.0f}", standing.diverged_low, standing.diverged_high, unit=" %")


def _interval(number: Callable[[float], str], low: float | None, high: float | None, unit: str = "") -> str:
    return NONE if low is None or high is None else f"{number(low)} to {number(high)}{unit}"


def _shown(number: Callable[[float], str], value: float | None) -> str:
    return NONE if value is None else number(value)


def _what(board: Leaderboard) -> str:
    """Say what the numbers are."""
    metric = board.metric
    name = metric.name[:1].upper() + metric.name[1:]
    unit = ", in %" if metric.is_share else ""
    return f"{name} {board.scoring.phrase}{unit}{'' if metric.higher_is_better else ' (lower is better)'}"


def _explained(board: Leaderboard) -> list[str]:
    """Say what readers would otherwise take for something else."""
    standings = board.standings
    methods = {each.method for each in standings}
    found = []
    if "t" in methods:
        found.append("interval: where the mean over all seeds is, at 95 % (Student's t)")
    if "confidence sequence" in methods:
        found.append(
            "interval: where the mean over all seeds is, at 95 % however often one looks (confidence sequence)"
        )
    if any(each.diverged for each in standings):
        found.append(
            "n, mean and interval: of the jobs that trained; for the rank, one that diverged counts as the worst"
        )
    if any(each.p_best is not None and each.n < CALIBRATED_SEEDS for each in standings):
        found.append(f"~: rough, with fewer than {CALIBRATED_SEEDS} seeds")
    return ["; ".join(found)] if found else []


def _left_out(shown: int, known: int, thing: str) -> list[str]:
    return [f"{shown} of {counted(known, thing)}"] if shown < known else []


def by_job(board: Leaderboard, top: int | None = None) -> TextTable:
    """Return a row for each job, the best score first. Equals keep the order of their configurations, then of seeds."""
    jobs = ranked_jobs(board)
    shown = jobs[:top]
    rows = tuple(
        (
            str(rank),
            str(entry.seed),
            *(board.names.shown(name, value) for name, value in standing.options.items()),
            _shown(board.metric.number, entry.score),
            entry.status,
            NONE if entry.weights_sha256 is None else entry.weights_sha256[:12],
        )
        for rank, (standing, entry) in enumerate(shown, 1)
    )
    options = (describe.heading(board.names.model, name) for name in board.names.varying)
    notes = (_what(board), _flattered(board), *_left_out(len(shown), len(jobs), "job"))
    return TextTable(notes, ("rank", "seed", *options, "score", "status", "weights"), rows, ("weights", "status"))


def ranked_jobs(board: Leaderboard) -> list[tuple[Standing, Entry]]:
    """Return all jobs, each with its configuration: those that trained by their score, then the others."""
    sign = -1.0 if board.metric.higher_is_better else 1.0
    jobs = [(standing, entry) for standing in board.standings for entry in standing.jobs]
    order = ("succeeded", "diverged", "failed", "cancelled", "missing")
    return sorted(
        jobs,
        key=lambda pair: (order.index(pair[1].status), math.inf if pair[1].score is None else sign * pair[1].score),
    )


def _flattered(board: Leaderboard) -> str:
    """Say that the best of many jobs owes its place to luck, and what to expect instead."""
    expected = board.standings[0].honest_mean
    if expected is None:
        return "The best of many jobs owes its place to its seed, too"
    value = board.metric.shown(expected)
    return (
        f"The best of many jobs owes its place to its seed, too: expect {value} of the leading configuration's next one"
    )
