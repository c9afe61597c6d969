"""The leaderboard: how configurations are ranked, and that the same results give the same bytes."""

import csv
import io
import json
import math
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard import judgement, table
from orchestrator.analysis.leaderboard.board import FIGURES, NONE, Column, Leaderboard, Standing
from orchestrator.analysis.leaderboard.scores import OWN_SPLITS, Scoring
from orchestrator.analysis.leaderboard.table import TextTable, as_dict, jobs_to_csv, to_csv, to_json, to_markdown
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import advise, print_leaderboard
from orchestrator.folder.rows import Accounting, AttemptRecord, Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Look
from tests.support.boards import Outcome, board_of, jobs_of, leaderboard, sweep_with, trained
from tests.support.known import known
from tests.support.sweeps import manifest_of, sweep_of
from worker.job import Attempt, Job, Mismatch

#: Why a job was tried three times.
LOST = [
    Attempt(number=1, cause="first run", worker="w@host", started=1.0, end="worker lost", ended=2.0),
    Attempt(number=2, cause="worker lost", worker="v@host", started=3.0, end="child lost", ended=4.0),
    Attempt(number=3, cause="child lost", worker="v@host", started=5.0, end="failed", ended=6.0),
]
LOST_HISTORY = [AttemptRecord.of(attempt) for attempt in LOST]


def printed(board: Leaderboard, width: int | None = None, shown: TextTable | None = None) -> list[str]:
    """Return the lines that a terminal of this width shows; None for an output that is no terminal."""
    file = io.StringIO()
    print_leaderboard(Console(file=file, width=width, force_terminal=width is not None), board, shown)
    return re.sub(r"\x1b\[\d*m", "", file.getvalue()).splitlines()


def headings(board: Leaderboard, width: int | None = None) -> str:
    return " ".join(next(line for line in printed(board, width) if "mean  " in line).split())


def test_configurations_are_ranked_by_the_mean_of_the_last_epoch() -> None:
    board = board_of({0.01: [0.90, 0.92, 0.91], 0.1: [0.95, 0.97, 0.93]})

    first, second = board.standings

    assert (first.rank, first.options) == (1, {"learning_rate": 0.1})
    assert (second.rank, second.options) == (2, {"learning_rate": 0.01})
    assert first.mean == pytest.approx(0.95, abs=1e-15)
    # Worked out by hand: deviations 0, 0.02, -0.02; sqrt((0.0004 + 0.0004) / 2).
    assert first.std == pytest.approx(0.02, abs=1e-15)
    assert (first.best, first.worst, first.best_seed, first.n, first.planned) == (0.97, 0.93, 1, 3, 3)
    jobs = jobs_of(3, 0.01, 0.1)
    assert first.best_weights_sha256 == next(
        key for key, job in jobs.items() if job.seed == 1 and job.options.learning_rate == 0.1
    )
    # The interval is Student's t: of two degrees of freedom, these are the quantiles for a choice of two, and for none.
    assert (first.low, first.high) == pytest.approx((0.95 - 6.205347 * 0.02 / 3**0.5, 0.95 + 4.302653 * 0.02 / 3**0.5))
    assert (first.method, second.method, first.p_best) == ("t, chosen", "t", None)


def test_diverged_jobs_are_no_part_of_the_mean_and_lower_the_rank() -> None:
    # Given a configuration that is the best when it trains, and diverged in 1 of 5 jobs, at 0.1
    board = board_of({0.3: [0.98, 0.981, "diverged", 0.979, 0.98], 0.1: [0.97, 0.971, 0.969, 0.97, 0.97]})
    first, second = board.standings

    # Then its figures are of those that trained, with the t interval of four seeds, and it ranks below,
    assert (second.options["learning_rate"], second.n, second.planned, second.diverged) == (0.3, 4, 5, 1)
    assert second.mean == pytest.approx(0.98)
    assert known(second.high) < 0.985
    # both may be the best: one ranks first, and the other is better when both train, which no interval compares,
    assert [first.contender, second.contender] == [True, True]
    (rival,) = board.verdict.rivals
    assert (rival.options, rival.difference, rival.low, second.regret) == ({"learning_rate": 0.3}, None, None, None)
    assert (board.verdict.decided, board.verdict.regret) == (True, 0)
    # and the rate of divergence has its interval, also where none was seen.
    exact = stats.binomtest(1, 5).proportion_ci()
    assert (second.diverged_low, second.diverged_high) == pytest.approx((exact.low, exact.high))
    assert (first.diverged_low, first.diverged_high) == pytest.approx((0, 1 - 0.025 ** (1 / 5)))
    # The table says so.
    assert headings(board).endswith("diverged")
    assert any("of the jobs that trained" in line for line in printed(board))
    # Outwards, so that no rate above 0 is said to be 0.
    rate = known(FIGURES["diverged_low"].column)
    assert [rate.text(board, each) for each in board.standings] == ["0 to 53 %", "0 to 72 %"]


def test_failed_cancelled_and_missing_jobs_do_not_count_and_are_seen() -> None:
    board = board_of({0.1: [0.9, "failed", "cancelled", "cancelled", None]})
    (only,) = board.standings

    assert (only.mean, only.n, only.planned, only.failed, only.cancelled) == (0.9, 1, 5, 1, 2)
    assert [entry.status for entry in only.jobs] == ["succeeded", "failed", "cancelled", "cancelled", "missing"]
    *_, heads, _, numbers, _ = printed(board)
    assert heads.split()[-2:] == ["failed", "cancelled"]
    assert numbers.split()[-2:] == ["1", "2"]
    assert "1/5" in numbers


#: How jobs ended, the learning rates by rank, and which of them can be recommended.
ORDERS: dict[str, tuple[dict[float, list[Outcome]], list[float], int]] = {
    "without a result, last": ({0.5: [None], 0.3: ["diverged"], 0.1: [0.2]}, [0.1, 0.3, 0.5], 1),
    "mostly diverged, below what trains": (
        {0.5: [0.99, "diverged", "diverged"], 0.1: [0.2, 0.3, 0.4], 0.9: ["diverged"] * 3}, [0.1, 0.5, 0.9], 1,
    ),
    "equal means, by the worst seed and then in the order of the sweep": (
        {0.2: [0.5, 0.75], 0.3: [0.5, 0.75], 0.1: [0.625, 0.625]}, [0.1, 0.2, 0.3], 3,
    ),
    "means that differ in floating point only": (
        {0.2: [0.8, 0.9], 0.3: [0.8, 0.9], 0.1: [0.85, 0.85]}, [0.1, 0.2, 0.3], 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ORDERS)
def test_what_ranks_where(case: str) -> None:
    outcomes, order, candidates = ORDERS[case]
    board = board_of(outcomes)
    standings, shown = board.standings, table.by_configuration(board, board.standings)
    is_noted = "regret: the most by which the best configuration can be better" in shown.notes
    assert is_noted == any(row[shown.headings.index("regret")] != NONE for row in shown.rows)
    assert [(each.rank, each.options["learning_rate"]) for each in standings] == list(enumerate(order, 1))
    for each, row in zip(standings, shown.rows, strict=True):
        assert each.contender == (each.rank <= candidates)
        assert (row[shown.headings.index("best?")] == NONE) == (each.n == 0)
        assert (each.mean is None) == (each.n == 0)
        if each.n < 2:
            assert (each.std, each.low, each.high, each.method) == (None, None, None, None)


def test_the_bytes_do_not_depend_on_arrival_workers_or_times() -> None:
    jobs = jobs_of(5, 0.003, 0.01, 0.03)
    luck = random.Random(1)
    accuracy = {key: luck.randrange(9000, 10500) / 10500 for key in jobs}

    def results(seed: int) -> tuple[str, str]:
        rng = random.Random(seed)
        rows = {
            key: trained(jobs[key], accuracy[key], worker=f"w{rng.random()}", seconds=rng.random())
            for key in rng.sample(list(jobs), len(jobs))
        }
        board = leaderboard(jobs, rows, "bundled")
        return to_json(board), to_csv(board)

    assert len({results(seed) for seed in range(8)}) == 1


def test_json_csv_and_the_tables_have_each_figure_that_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given one more figure, with a column
    @Column("range", "the best less the worst", tables="wide", order=1)
    def spread(self: Standing) -> float | None:
        return None if self.best is None or self.worst is None else self.best - self.worst

    spread.__set_name__(Standing, "spread")
    monkeypatch.setattr(Standing, "spread", spread, raising=False)
    monkeypatch.setitem(FIGURES, "spread", spread)  # type: ignore[arg-type]
    board = board_of({0.1: [0.9, 1 / 3], 0.5: [None, None]})

    # Then JSON and CSV say the same of each configuration
    from_json = json.loads(to_json(board))
    from_csv = list(csv.DictReader(io.StringIO(to_csv(board))))
    assert list(from_json) == ["common", "verdict", "rows"]
    assert from_json["rows"] == [each.as_dict() for each in board.standings]
    assert len(from_csv) == len(from_json["rows"]) == 2
    for text, row in zip(from_csv, from_json["rows"], strict=True):
        values = {name: value for name, value in row.items() if name not in ("options", "jobs")} | row["options"]
        assert text == {name: "" if value is None else str(value) for name, value in values.items()}
    assert from_csv[1]["mean"] == ""
    assert [row["spread"] for row in from_json["rows"]] == [0.9 - 1 / 3, None]

    # and so do wide tables and the report, which tells what it means, but no others.
    wide = table.by_configuration(board, board.standings, wide=True)
    told, meanings = table.for_report(board, board.standings)
    for each in (wide, told):
        assert [row[each.headings.index("range")] for row in each.rows] == ["56.67", "-"]
    assert meanings["range"] == "the best less the worst"
    assert "range" not in headings(board)
    assert table.arranged(board, "spread") == board.standings
    # A column that says nothing of any row is left out of the report.
    assert "range" not in table.for_report(board, board.standings[1:])[0].headings


def test_there_is_a_column_for_what_varies_and_a_line_for_the_rest() -> None:
    # Given a sweep in which the layers, the limit and the loss vary, and all else does not
    varies = {"loss": ("cross_entropy", "sum_of_squares"), "hidden": ((128, 64), (256, 64)), "limit": (None, 500)}
    specification = sweep_of(seeds=(0,), learning_rates=(0.01,), epochs=2, **varies)
    jobs = specification.jobs_by_key(MNIST_DIGEST)
    board = leaderboard(jobs, {key: trained(job, 0.5) for key, job in jobs.items()}, "bundled")

    # Then each of these is a column, in tables as people write it
    lines = to_csv(board).splitlines()
    assert lines[0].startswith("rank,hidden_layer_sizes,loss,limit,n,planned,")
    assert lines[2].startswith('2,"128,64",cross_entropy,500,1,1,')
    _, common, _, _, heads, _, first, *_ = printed(board)
    assert heads.split()[:5] == ["rank", "hidden", "layers", "loss", "limit"]
    assert first.split()[:7] == ["1", "128,64", "cross_entropy", "all", "samples", "1/1", "50.00"]

    # and the others are said once, with the data set; the network is not among them, because its layers vary.
    assert common == (
        "In common: learning rate 0.01, epochs 2, rule backprop, data set MNIST (06ad231b5cb2); "
        "other options at their defaults"
    )
    told = as_dict(board)["common"]
    assert (told["trainer"], told["model"], told["data"], told["dataset"]) == ("network", "", "MNIST", MNIST_DIGEST)
    assert json.loads(json.dumps(told["options"])) == json.loads(json.dumps(specification.options))
    assert "hidden layers 128,64 with loss cross_entropy and limit all samples" in board.verdict.sentence


def test_before_there_is_a_result_nothing_is_ranked_or_ruled_out() -> None:
    board = board_of({0.1: [None, None], 0.2: [None, None]})
    found = table.by_configuration(board, board.standings)
    cells = [dict(zip(found.headings, row, strict=True)) for row in found.rows]
    assert [(each["rank"], each["best?"]) for each in cells] == [("-", "-")] * 2


def test_a_sweep_of_one_configuration_has_no_column_and_names_its_network() -> None:
    board = board_of({0.1: [0.5, 0.5]})

    _, common, *_ = printed(board)
    assert common.startswith("In common: network 784-128-64-10, learning rate 0.1, epochs 2, rule backprop, ")
    assert "limit all samples" in common
    assert headings(board) == "rank n mean interval"
    assert board.common.model == "network 784-128-64-10"
    # How wide an image of another data set is, its digest does not tell.
    elsewhere = [job.model_copy(update={"dataset": "0" * 64}) for job in jobs_of(2, 0.1).values()]
    board = leaderboard({job.key: job for job in elsewhere}, {}, "/data/letters\nforged")
    assert board.common.model == ""
    assert "data set /data/letters\\nforged (000000000000)" in board.in_common
    # What differs from its default is said, too.
    wide = sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=2, hidden=((9, 8),), shuffle=(True,))
    assert leaderboard(wide.jobs_by_key(MNIST_DIGEST), {}).in_common == (
        "network 784-9-8-10, learning rate 0.1, epochs 2, rule backprop, shuffle true, limit all samples, "
        "data set MNIST (06ad231b5cb2); other options at their defaults"
    )


def test_what_a_sampler_varies_has_a_column_although_only_one_value_was_drawn() -> None:
    board = leaderboard(jobs_of(2, 0.1), {}, "bundled", ("learning_rate",))

    assert to_csv(board).startswith("rank,learning_rate,n,")
    assert board.standings[0].options == {"learning_rate": 0.1}
    assert "learning_rate" not in board.common.options


def test_different_learning_rates_never_look_alike() -> None:
    board = board_of({0.1: [0.5], 0.10000001: [0.5], 0.3: [0.5], 1e300: [0.5]})

    cells = [row[1] for row in table.by_configuration(board, board.standings).rows]
    assert cells == ["0.1", "0.10000001", "0.3", "1e+300"]


def test_the_table_fits_a_terminal_and_a_narrow_one_loses_columns_but_never_what_varies() -> None:
    luck = random.Random(3)
    board = board_of({rate: [0.97 + 0.001 * luck.random() for _ in range(5)] for rate in (0.1, 0.03, 0.01, 0.003)})

    assert headings(board, 100) == "rank learning rate n mean interval best? regret P(best)"
    assert headings(board, 80) == "rank learning rate n mean interval best? regret"
    assert all(len(line.rstrip()) <= 80 for line in printed(board, 80)[4:])
    assert headings(board, 55) == "rank learning rate mean interval"
    assert headings(board, 40) == "rank learning rate mean"
    # Several wrap if nothing else can be left out.
    named = {"learning_rates": (0.1, 0.2), "initialization": ("lecun", "lecun_uniform")}
    jobs = sweep_of(seeds=(0, 1), epochs=2, **named).jobs_by_key(MNIST_DIGEST)
    board = leaderboard(jobs, {key: trained(job, 0.5 + luck.random() / 9) for key, job in jobs.items()})
    for shown in (table.by_configuration(board, board.standings), table.by_job(board)):
        *lines, told = printed(board, 40, shown)
        cells = lines[lines.index(40 * " ") :]
        assert max(map(len, cells)) == 40
        assert {"learning", "rate", "lecun", "0.2"} < set(" ".join(cells).split())
        assert told.startswith("Left out, because the terminal is narrow: rank, ")
        # But no figure does.
        means = {board.names.metric.number(each.mean) for each in board.standings}
        assert means <= set(" ".join(printed(board, 15)).split())


def test_advice_names_the_cluster_without_its_password(tmp_path: Path) -> None:
    luck = random.Random(3)
    undecided = {rate: [0.97 + 0.001 * luck.random() for _ in range(5)] for rate in (0.1, 0.03)}
    advise(Console(file=(file := io.StringIO())), sweep_with(tmp_path, undecided), "redis://:secret@h:1/0")
    assert re.search("^To decide further.*\n .* --broker 'redis://:\\*\\*@h:1/0'$", file.getvalue(), re.MULTILINE)


def test_p_best_is_for_contenders_marked_as_rough_below_ten_seeds_and_never_certain() -> None:
    luck = random.Random(3)
    scores = {rate: [base + 0.002 * luck.random() for _ in range(10)] for rate, base in ((0.1, 0.97), (0.03, 0.96))}

    for n, shown in ((4, None), (5, ["~>0.99", "-"]), (10, [">0.99", "-"])):
        board = board_of({rate: values[:n] for rate, values in scores.items()})
        told = table.by_configuration(board, board.standings)
        assert ("P(best)" in told.headings) == (shown is not None)
        if shown:
            assert [row[told.headings.index("P(best)")] for row in told.rows] == shown
    # If a contender lacks a fifth seed, no other one has a probability; one that is ruled out may lack it.
    for rate, others, shown in ((0.96, "failed", 1), (0.9695, "failed", 0), (0.9695, 0.9695, 2)):
        close = [rate + 0.002 * luck.random() for _ in range(4)]
        board = board_of({0.1: scores[0.1][:5], 0.03: [*close, others]})
        assert sum(each.p_best is not None for each in board.standings) == shown


def test_lower_is_better_where_the_metric_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.trainers.network import NetworkTrainer
    from worker.trainers.protocol import Metric

    monkeypatch.setattr(NetworkTrainer, "metric", Metric(name="squared error", higher_is_better=False))
    board = board_of({0.01: [12.25, 12.0, 12.5, 12.25, 12.0], 0.03: [3.0, 3.25, 3.5, 3.0, 3.25]})

    first, second = board.standings
    assert (first.options["learning_rate"], first.best, first.worst) == (0.03, 3.0, 3.5)
    assert (first.contender, second.contender) == (True, False)
    assert board.verdict.sentence == "Use learning rate 0.03: it is the best of 2."
    assert "points" not in board.verdict.sentence
    assert "Squared error after the last epoch (lower is better)" in printed(board)
    assert [each.rank for each in table.arranged(board, "mean")] == [1, 2]
    assert jobs_to_csv(board, 1).splitlines()[1].startswith("1,0.03,0,succeeded,3.0,")


def test_the_scoring_chooses_the_epoch() -> None:
    jobs = jobs_of(2, 0.1)
    rows = {key: trained(job, 0.5, first=0.75) for key, job in jobs.items()}

    def mean(text: str) -> float | None:
        return leaderboard(jobs, rows, "bundled", scoring=Scoring.parse(text)).standings[0].mean

    assert (mean("last"), mean("best"), mean("mean-1"), mean("mean-2")) == (0.5, 0.75, 0.5, 0.625)
    for text in ("first", "mean", "mean-0", "mean--1", "mean-1.5", "mean-999999", "", "best "):
        assert Scoring.parse(text) == Scoring(metric=text)  # Which no sweep has.


def test_the_honest_mean_of_the_best_epoch_has_no_luck_in_it() -> None:
    # Given jobs whose best epoch is the first for one half and the second for the other
    jobs = jobs_of(4, 0.1)
    rows = {key: trained(job, 0.5 + job.seed % 2 / 4, first=0.75 - job.seed % 2 / 4) for key, job in jobs.items()}

    (only,) = leaderboard(jobs, rows, "bundled", scoring=Scoring("best")).standings

    # Then each reaches 0.75 at its own best epoch, and 0.5 at the one that the others would choose.
    assert (only.mean, only.honest_mean) == (0.75, 0.5)


@pytest.mark.parametrize(
    ("outcomes", "honest"),
    [
        # The other one has a better mean and ranks second, because one of its jobs diverged. It is chosen only without
        # that job, from which nothing is taken.
        (
            {0.1: [0.90, 0.91, 0.92, 0.905, 0.915], 0.2: [0.95, 0.96, 0.955, 0.95, "diverged"]},
            (0.90 + 0.91 + 0.92 + 0.905) / 4,
        ),
        ({0.1: [0.9, None, None], 0.2: [0.8, 0.7, 0.8]}, None),
    ],
    ids=["as the rank chooses", "one seed"],
)
def test_the_honest_mean_is_the_first_ones_only(outcomes: dict[float, list[Outcome]], honest: float | None) -> None:
    first, *others = board_of(outcomes).standings
    assert first.options.get("learning_rate", 0.1) == 0.1
    assert first.honest_mean == (None if honest is None else pytest.approx(honest))
    assert all(each.honest_mean is None for each in others)


def test_intervals_on_new_samples_need_the_answers_of_every_job() -> None:
    jobs = jobs_of(3, 0.1)
    rng = np.random.default_rng(0)
    # Some samples are hard for every job.
    hard = rng.random(1000) < 0.1
    answers = {key: ~hard ^ (rng.random(1000) < 0.01) for key in jobs}
    rows = {key: trained(job, float(answers[key].mean()), correct=list(answers[key])) for key, job in jobs.items()}

    def new(rows: Mapping[str, Row], **how: Any) -> tuple[float | None, float | None]:
        (only,) = leaderboard(jobs, rows, "bundled", **how).standings
        return only.low_new, only.high_new

    low, high = map(known, new(rows))
    assert low < known(leaderboard(jobs, rows).standings[0].low) < high

    # Damaged ones, those of other samples, and those that give another accuracy are none.
    first = next(iter(jobs))
    for correct in (None, "AAAA", rows[first].correct):
        score = 0.5 if correct == rows[first].correct else rows[first].validation_score[-1]
        other = rows[first].model_copy(update={"correct": correct, "validation_score": [0.1, score]})
        assert new(rows | {first: other}) == (None, None)
    # They are valid for one look, and a sweep that was seen and then extended has none.
    assert new(rows, history="extended") == (None, None)
    # They are answers after the last epoch, and no others.
    assert new(rows, scoring=Scoring("best")) == (None, None)


def test_seeds_that_draw_their_split_have_no_interval_on_new_samples_and_the_table_says_why() -> None:
    boards = []
    for split in ("fixed", "seed"):
        jobs = sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=2, split=split).jobs_by_key(MNIST_DIGEST)
        right = {key: [job.seed < 1 or i < 8 for i in range(10)] for key, job in jobs.items()}
        boards.append(leaderboard(jobs, {key: trained(job, 0.8 if job.seed else 1.0, correct=right[key])
                                         for key, job in jobs.items()}))  # fmt: skip
    fixed, drawn = boards

    assert fixed.standings[0].low == drawn.standings[0].low
    assert fixed.standings[0].low_new is not None
    assert drawn.standings[0].low_new is drawn.standings[0].high_new is None
    assert ("split seed" in drawn.in_common, "split" in fixed.in_common) == (True, False)
    for board, is_said in ((fixed, False), (drawn, True)):
        notes = " ".join(table.by_configuration(board, board.standings, wide=True).notes)
        assert (OWN_SPLITS in notes) == is_said


def test_rows_show_the_confidence_sequence_of_a_sweep_that_was_seen() -> None:
    scores = {0.1: [0.97, 0.971, 0.972, 0.969, 0.97], 0.03: [0.9, 0.91, 0.9, 0.905, 0.9]}
    once, ever = board_of(scores), board_of(scores, history="extended")

    assert [each.method for each in once.standings] == ["t, chosen", "t"]
    assert [each.method for each in ever.standings] == ["confidence sequence, chosen", "confidence sequence"]
    assert (once.verdict.method, ever.verdict.method) == ("t", "group-sequential t")
    for t, sequence in zip(once.standings, ever.standings, strict=True):
        assert sequence.low < t.low < t.high < sequence.high  # type: ignore[operator]
    assert any("confidence sequence" in line for line in printed(ever))
    assert ever.verdict.decided
    # What a t test separates, one that holds at all looks may leave open.
    close = {0.1: [0.97, 0.971, 0.972, 0.969, 0.97], 0.03: [0.969, 0.970, 0.971, 0.9695, 0.9685]}
    assert (board_of(close).verdict.decided, board_of(close, history="race").verdict.decided) == (True, False)
    # Configurations that are yet to be drawn count from the first look on.
    lows = [board_of(scores, running=True, further=further).standings[0].low for further in (0, 9)]
    regrets = [board_of(close, running=True, further=further).verdict.regret for further in (0, 9)]
    assert (lows[0] > lows[1], regrets[0] < regrets[1]) == (True, True)  # type: ignore[operator]


GRID = manifest_of(sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.2), epochs=2))
SEARCH = manifest_of(sweep_of(learning_rates="log:0.01..0.5", sampler="optuna", samples=3, epochs=2))
#: A sweep, whether each job's result is reused (None for one without a result), and how it came to them and how far.
SWEEPS: dict[str, tuple[Manifest, Callable[[Job], bool | None], str, str]] = {
    "as specified": (GRID, lambda _: False, "fixed", "final"),
    "with a configuration of another sweep": (GRID, lambda job: job.options.learning_rate == 0.1, "fixed", "final"),
    "with seeds of another sweep, which it goes on with": (GRID, lambda job: job.seed == 0, "extended", "final"),
    "resumed": (GRID.with_look(Look(command="resume", seeds=1, rows=1)), lambda _: False, "extended", "final"),
    "by a race": (GRID.with_look(Look(command="decide", seeds=1, rows=1)), lambda _: False, "race", "race"),
    "while others run": (GRID, lambda job: None if job.options.learning_rate == 0.2 else False, "fixed", "so far"),
    "by a search that goes on": (SEARCH.with_drawn([{"learning_rate": 0.1}]), lambda _: False, "fixed", "so far"),
}


@pytest.mark.parametrize("case", SWEEPS)
def test_a_sweep_and_each_part_of_it_know_how_it_came_to_its_rows(case: str) -> None:
    manifest, reused, history, state = SWEEPS[case]
    jobs = manifest.jobs_by_key()
    rows = {key: trained(job, 0.9) for key, job in jobs.items() if reused(job) is not None}
    rows |= {key: row.reused("another") for key, row in rows.items() if reused(jobs[key])}
    whole = Sweep.of(SweepFolder(Path("nowhere"), "a"), manifest, jobs, rows)
    for sweep in (whole, whole.select(["learning_rate=0.1"])):
        assert (sweep.judgement.history, sweep.judgement.state) == (history, state)
        assert sweep.judgement.considered == len(sweep.scored) + manifest.specification.remaining


def test_many_configurations_are_compared_in_parts_and_the_best_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given 60 configurations, some of them close, and one seed that some lack
    luck = random.Random(5)
    scores = {
        0.001 * (i + 1): [0.9 + 0.0005 * i + 0.002 * luck.random() for _ in range(4)]
        + [None if i % 7 == 3 else 0.9 + 0.0005 * i]
        for i in range(60)
    }
    whole = board_of(scores).standings

    # When there are more than are compared pair by pair
    monkeypatch.setattr(judgement, "MOST_IN_PAIRS", 20)
    monkeypatch.setattr(judgement, "FIRST_ONES", 10)
    parts = board_of(scores).standings

    # Then the contenders are the same, because the first ones beat the others, and the first regrets are known.
    assert [each.contender for each in parts] == [each.contender for each in whole]
    assert 1 < sum(each.contender for each in whole) < 30
    assert [each.regret for each in parts] == [*(each.regret for each in whole[:10]), *[None] * 50]


def test_rows_can_be_sorted_and_cut_and_keep_their_ranks() -> None:
    board = board_of({0.5: [0.7], 0.05: [0.9], 0.1: [0.8], 0.3: [None]})

    def ranks(sort: str, top: int | None = None) -> list[int]:
        return [each.rank for each in table.arranged(board, sort, top)]

    assert ranks("rank") == ranks("mean") == [1, 2, 3, 4]
    assert ranks("learning_rate") == [1, 2, 4, 3]
    assert ranks("learning_rate", 2) == [1, 2]
    assert ranks("n", 1) == [1]
    # Every column's figure sorts; of scores, the better ones come first.
    assert {ranks(each)[0] for each in ("low", "best", "worst")} == {1}
    with pytest.raises(InvalidInputError, match=r"sort is 'speed'; allowed: one of rank, .*learning_rate"):
        ranks("speed")
    cut = table.by_configuration(board, table.arranged(board, "rank", 2))
    assert "2 of 4 configurations" in cut.notes


WIDTHS = ("hidden", "hidden_layer_sizes")


def test_options_are_sorted_by_size_and_named_apart_from_figures() -> None:
    specification = sweep_of(seeds=(0,), learning_rates=(0.01,), hidden=((16, 8), (128, 64)), limit=(None, 50))
    board = leaderboard(specification.jobs_by_key(MNIST_DIGEST), {})
    assert [each.options["limit"] for each in table.arranged(board, "limit")] == [50, 50, None, None]
    # By the names that words have, too
    sizes = [[each.options["hidden_layer_sizes"][0] for each in table.arranged(board, name)] for name in WIDTHS]
    assert sizes == [[128, 128, 16, 16]] * 2


def test_a_row_for_each_job_says_that_the_best_one_is_lucky() -> None:
    board = board_of({0.1: [0.9, 0.8], 0.2: [0.85, None], 0.3: ["diverged", "failed"]})
    told = table.by_job(board, 4)

    assert [row[:5] for row in told.rows] == [
        ("1", "0", "0.1", "90.00", "succeeded"), ("2", "0", "0.2", "85.00", "succeeded"),
        ("3", "1", "0.1", "80.00", "succeeded"), ("4", "0", "0.3", "10.00", "diverged"),
    ]  # fmt: skip
    assert any("owes its place to its seed" in note for note in told.notes)
    assert "4 of 6 jobs" in told.notes
    assert jobs_to_csv(board).splitlines()[0] == "rank,learning_rate,seed,status,score,weights_sha256"
    assert len(jobs_to_csv(board).splitlines()) == 7


def test_markdown_is_a_table_in_which_no_text_is_markup() -> None:
    board = board_of({0.1: [0.9, 0.8, 0.9, 0.8, 0.85], 0.2: [0.85, 0.7, 0.7, 0.75, 0.8]})
    lines = to_markdown(board, table.by_configuration(board, board.standings)).splitlines()

    image = TextTable((), ("![x](y)",), ())
    assert to_markdown(board, image).splitlines()[3] == r"| !\[x\](y) |"
    assert lines[0] == f"**{board.verdict.sentence}**"
    heads = next(line for line in lines if line.startswith("| rank |"))
    rows = lines[lines.index(heads) + 1 :]
    assert re.fullmatch(r"\|(---:\|)+", rows[0])
    assert [row.count("|") for row in rows] == [heads.count("|")] * 3
    assert "\\~" in rows[1]


def test_equal_and_huge_metrics_stay_numbers() -> None:
    for seeds, low, high in ((2, None, None), (5, 0.0, 1.0)):
        (only,) = board_of({0.1: [0.0] * seeds}).standings
        # Two that are equal may be so by chance; of a share that never varied, nobody knows the step.
        assert (only.mean, only.std, only.low, only.high) == (0.0, 0.0, low, high)
        assert not any(isinstance(value, float) and math.isnan(value) for value in only.figures.values())
    board = board_of({0.1: [1e100, -1e100, 1e99], 0.2: [-1e100, 1e-100, 0.0]})
    assert json.loads(to_json(board))["rows"][0]["mean"] is not None
    assert printed(board)


def test_the_accounting_counts_every_way_a_job_can_end_and_is_complete_without_evidence_against_it() -> None:
    jobs = list(jobs_of(5, 0.1).values())
    rows = [
        trained(jobs[0], 0.9),
        trained(jobs[1], 0.1, status="diverged").model_copy(update={"attempts": 2, "history": LOST_HISTORY[:2]}),
        trained(jobs[2], 0.9).model_copy(update={"reused_from": "another"}),
        lost_row(jobs[3], "failed", "it broke", LOST),
        lost_row(jobs[4], "cancelled", "as you asked"),
    ]

    assert str(Accounting.of(6, rows)) == (
        "jobs 6, accepted 3, attempts 6 (child lost 1, worker lost 2), reused 1, diverged 1, failed 1, cancelled 1, "
        "mismatches 0"
    )
    found = Mismatch(first="a" * 64, second="b" * 64, run=jobs[0].key, worker="w@host")
    against = Accounting.of(1, [rows[0].model_copy(update={"mismatches": [found]})])
    assert "mismatches 1" in str(against)
    complete = [each.complete for each in (Accounting.of(1, rows[:1]), Accounting.of(2, rows[:1]), against)]
    assert complete == [True, False, False]
