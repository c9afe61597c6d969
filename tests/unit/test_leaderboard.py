"""The leaderboard: how configurations are ranked, and that the same results give the same bytes."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re

import pytest
from rich.console import Console

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard import Leaderboard, Standing, leaderboard
from orchestrator.cli.output import print_leaderboard
from orchestrator.folder.rows import Accounting, Row, accepted_row, lost_row
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweeps import sweep_of
from worker.job import Job, Mismatch, Result

#: Why a job was tried three times.
LOST = ["first run", "worker lost", "child lost"]


def jobs_of(seeds: int, *learning_rates: float) -> list[Job]:
    return sweep_of(seeds=tuple(range(seeds)), learning_rates=learning_rates, epochs=2).jobs(MNIST_DIGEST)


def trained(
    job: Job, accuracy: float, *, status: str = "succeeded", worker: str = "w@host", seconds: float = 1.0
) -> Row:
    result = Result(
        job=job.key,
        status=status,
        validation_score=[0.1, accuracy],
        epoch_seconds=[seconds, seconds],
        weights_sha256=job.key,
        weights_bytes=1,
        worker=worker,
        attempts=1,
    )
    return accepted_row(job, result)


def rows_of(jobs: list[Job], accuracies: dict[float, list[float]]) -> dict[str, Row]:
    return {job.key: trained(job, accuracies[job.options.learning_rate][job.seed]) for job in jobs}


def ranked(jobs: list[Job], rows: dict[str, Row]) -> tuple[Standing, ...]:
    return leaderboard(jobs, rows, "bundled").standings


def printed(board: Leaderboard, width: int | None = None) -> list[str]:
    """Return the lines that a terminal of this width shows; None for an output that is no terminal."""
    file = io.StringIO()
    print_leaderboard(Console(file=file, width=width, force_terminal=width is not None), board)
    return re.sub(r"\x1b\[\d*m", "", file.getvalue()).splitlines()


def test_configurations_are_ranked_by_the_mean_of_the_last_epoch() -> None:
    jobs = jobs_of(3, 0.01, 0.1)
    rows = rows_of(jobs, {0.01: [0.90, 0.92, 0.91], 0.1: [0.95, 0.97, 0.93]})

    first, second = ranked(jobs, rows)

    assert (first.rank, first.options) == (1, {"learning_rate": 0.1})
    assert (second.rank, second.options) == (2, {"learning_rate": 0.01})
    assert first.mean == pytest.approx(0.95, abs=1e-15)
    # Worked out by hand: deviations 0, 0.02, -0.02; sqrt((0.0004 + 0.0004) / 2).
    assert first.std == pytest.approx(0.02, abs=1e-15)
    assert (first.best, first.worst, first.best_seed, first.seeds) == (0.97, 0.93, 1, 3)
    assert first.best_weights_sha256 == next(
        job.key for job in jobs if job.seed == 1 and job.options.learning_rate == 0.1
    )


def test_one_seed_has_no_deviation() -> None:
    jobs = jobs_of(1, 0.1)

    (only,) = ranked(jobs, rows_of(jobs, {0.1: [0.9]}))

    assert only.std is None
    assert only.mean == only.best == only.worst == 0.9


def test_diverged_jobs_count_with_the_accuracy_they_have() -> None:
    jobs = jobs_of(2, 0.3)
    rows = {jobs[0].key: trained(jobs[0], 0.9), jobs[1].key: trained(jobs[1], 0.1, status="diverged")}

    (only,) = ranked(jobs, rows)

    assert (only.mean, only.worst, only.seeds, only.diverged, only.failed, only.cancelled) == (0.5, 0.1, 2, 1, 0, 0)


def test_failed_cancelled_and_missing_jobs_do_not_count_and_are_seen() -> None:
    jobs = jobs_of(5, 0.1)
    lost = [
        lost_row(jobs[1], "failed", "it broke", LOST),
        lost_row(jobs[2], "cancelled", "as you asked"),
        lost_row(jobs[3], "cancelled", "as you asked"),
    ]
    rows = {row.job: row for row in (trained(jobs[0], 0.9), *lost)}

    board = leaderboard(jobs, rows, "bundled")
    (only,) = board.standings

    assert (only.mean, only.seeds, only.failed, only.cancelled) == (0.9, 1, 1, 2)
    assert [entry.status for entry in only.jobs] == ["succeeded", "failed", "cancelled", "cancelled", "missing"]
    *_, headings, _, figures, _ = printed(board)
    assert headings.split()[-3:] == ["seeds", "failed", "cancelled"]
    assert figures.split()[-3:] == ["1", "1", "2"]


def test_a_configuration_without_a_result_comes_last() -> None:
    jobs = jobs_of(1, 0.5, 0.1)

    first, last = ranked(jobs, {jobs[1].key: trained(jobs[1], 0.2)})

    assert (first.options["learning_rate"], last.options["learning_rate"]) == (0.1, 0.5)
    assert (last.rank, last.mean, last.best, last.seeds) == (2, None, None, 0)


def test_equal_means_go_by_the_worst_seed_and_then_by_the_order_of_the_sweep() -> None:
    jobs = jobs_of(2, 0.2, 0.3, 0.1)
    for accuracies in (
        {0.2: [0.5, 0.75], 0.3: [0.5, 0.75], 0.1: [0.625, 0.625]},
        # In floating point these means differ.
        {0.2: [0.8, 0.9], 0.3: [0.8, 0.9], 0.1: [0.85, 0.85]},
    ):
        rows = rows_of(jobs, accuracies)
        assert [standing.options["learning_rate"] for standing in ranked(jobs, rows)] == [0.1, 0.2, 0.3]


def test_the_bytes_do_not_depend_on_arrival_workers_or_times() -> None:
    jobs = jobs_of(5, 0.003, 0.01, 0.03)
    luck = random.Random(1)
    accuracy = {job.key: luck.randrange(9000, 10500) / 10500 for job in jobs}

    def results(seed: int) -> tuple[str, str]:
        rng = random.Random(seed)
        arrival = rng.sample(jobs, len(jobs))
        rows = {
            job.key: trained(job, accuracy[job.key], worker=f"w{rng.random()}", seconds=rng.random()) for job in arrival
        }
        board = leaderboard(jobs, rows, "bundled")
        return board.to_json(), board.to_csv()

    assert len({results(seed) for seed in range(20)}) == 1


def test_json_and_csv_say_the_same() -> None:
    jobs = jobs_of(2, 0.1, 0.5)
    rows = rows_of([job for job in jobs if job.options.learning_rate == 0.1], {0.1: [0.9, 1 / 3]})
    board = leaderboard(jobs, rows, "bundled")

    from_json = json.loads(board.to_json())
    from_csv = list(csv.DictReader(io.StringIO(board.to_csv())))

    assert tuple(Standing.model_validate(row) for row in from_json["leaderboard"]) == board.standings
    assert len(from_csv) == len(from_json["leaderboard"]) == 2
    for text, row in zip(from_csv, from_json["leaderboard"], strict=True):
        values = {name: value for name, value in row.items() if name not in ("options", "jobs")} | row["options"]
        assert text == {name: "" if value is None else str(value) for name, value in values.items()}
    assert from_csv[1]["mean"] == ""


def test_there_is_a_column_for_what_varies_and_a_line_for_the_rest() -> None:
    # Given a sweep in which the layers, the limit and the loss vary, and all else does not
    grid = {
        "loss": ("cross_entropy", "sum_of_squares"),
        "hidden_layer_sizes": ((128, 64), (256, 64)),
        "limit": (None, 500),
    }
    specification = SweepSpecification(seeds=(0,), options={"learning_rate": 0.01, "epochs": 2}, grid=grid)
    jobs = specification.jobs(MNIST_DIGEST)
    rows = {job.key: trained(job, 0.5) for job in jobs}
    board = leaderboard(jobs, rows, "bundled")

    # Then each of these is a column, in tables as people write it
    assert board.to_csv().splitlines()[0].startswith("rank,hidden_layer_sizes,loss,limit,seeds,")
    assert board.to_csv().splitlines()[2].startswith('2,"128,64",cross_entropy,500,1,')
    common, _, _, headings, _, first, *_ = printed(board)
    assert headings.split()[:5] == ["rank", "hidden", "layers", "loss", "limit"]
    assert first.split()[:6] == ["1", "128,64", "cross_entropy", "all", "samples", "50.00"]

    # and the others are said once, with the data set; the network is not among them, because its layers vary.
    assert common == (
        "In common: learning rate 0.01, epochs 2, rule backprop, data set MNIST (06ad231b5cb2); "
        "other options at their defaults"
    )
    told = json.loads(board.to_json())["common"]
    assert (told["trainer"], told["model"], told["data"], told["dataset"]) == ("network", "", "MNIST", MNIST_DIGEST)
    assert told["options"] == json.loads(json.dumps(specification.options))


def test_a_sweep_of_one_configuration_has_no_column_and_names_its_network() -> None:
    jobs = jobs_of(2, 0.1)
    board = leaderboard(jobs, rows_of(jobs, {0.1: [0.5, 0.5]}), "bundled")

    common, _, _, headings, *_ = printed(board)
    assert common.startswith("In common: network 784-128-64-10, learning rate 0.1, epochs 2, rule backprop, ")
    assert "limit all samples" in common
    assert headings.split() == ["rank", "mean", "std", "best", "worst", "seeds"]
    assert board.common.model == "network 784-128-64-10"
    # How wide an image of another data set is, its digest does not tell.
    elsewhere = leaderboard([job.model_copy(update={"dataset": "0" * 64}) for job in jobs], {}, "/data/letters")
    assert elsewhere.common.model == ""
    assert "data set /data/letters (000000000000)" in elsewhere.in_common
    # What differs from its default is said, too.
    wide = [
        Job.of({"learning_rate": 0.1, "epochs": 2, "hidden_layer_sizes": (9, 8), "shuffle": True}, seed=seed,
               dataset=MNIST_DIGEST)
        for seed in range(2)
    ]  # fmt: skip
    assert leaderboard(wide, {}, "bundled").in_common == (
        "network 784-9-8-10, learning rate 0.1, epochs 2, rule backprop, shuffle true, limit all samples, "
        "data set MNIST (06ad231b5cb2); other options at their defaults"
    )


def test_what_a_sampler_varies_has_a_column_although_only_one_value_was_drawn() -> None:
    jobs = jobs_of(2, 0.1)
    board = leaderboard(jobs, {}, "bundled", ("learning_rate",))

    assert board.to_csv().startswith("rank,learning_rate,seeds,")
    assert board.standings[0].options == {"learning_rate": 0.1}
    assert "learning_rate" not in board.common.options


def test_different_learning_rates_never_look_alike() -> None:
    rates = (0.1, 0.10000001, 0.3, 1e300)
    jobs = jobs_of(1, *rates)
    board = leaderboard(jobs, rows_of(jobs, {rate: [0.5] for rate in rates}), "bundled")

    shown = [line.split()[1] for line in printed(board)[5:9]]
    assert shown == ["0.1", "0.10000001", "0.3", "1e+300"]


def test_a_narrow_terminal_loses_columns_in_an_order_but_never_what_varies() -> None:
    jobs = jobs_of(2, 0.1, 0.5)
    board = leaderboard(jobs, rows_of(jobs, {0.1: [0.5, 0.5], 0.5: [0.25, 0.25]}), "bundled")

    def headings(width: int) -> str:
        return " ".join(next(line for line in printed(board, width) if "mean" in line).split())

    assert headings(80) == "rank learning rate mean std best worst seeds"
    assert headings(57) == "rank learning rate mean std best seeds"
    assert headings(47) == "rank learning rate mean std seeds"
    assert headings(20) == "learning rate mean std"


def test_no_number_is_nan() -> None:
    jobs = jobs_of(2, 0.1)
    (only,) = ranked(jobs, rows_of(jobs, {0.1: [0.0, 0.0]}))
    assert (only.mean, only.std) == (0.0, 0.0)
    assert not any(isinstance(value, float) and math.isnan(value) for value in only.model_dump().values())


def test_the_accounting_counts_every_way_a_job_can_end() -> None:
    jobs = jobs_of(5, 0.1)
    rows = [
        trained(jobs[0], 0.9),
        trained(jobs[1], 0.1, status="diverged").model_copy(update={"attempts": 2, "attempt_causes": LOST[:2]}),
        trained(jobs[2], 0.9).model_copy(update={"reused_from": "another"}),
        lost_row(jobs[3], "failed", "it broke", LOST),
        lost_row(jobs[4], "cancelled", "as you asked"),
    ]

    assert str(Accounting.of(6, rows)) == (
        "jobs 6, accepted 3, attempts 6 (child lost 1, worker lost 2), reused 1, diverged 1, failed 1, cancelled 1, "
        "mismatches 0"
    )


def test_a_sweep_is_complete_only_without_evidence_against_it() -> None:
    (job,) = jobs_of(1, 0.1)
    found = Mismatch(first="a" * 64, second="b" * 64, run=job.key, worker="w@host")

    assert Accounting.of(1, [trained(job, 0.9)]).complete
    assert not Accounting.of(2, [trained(job, 0.9)]).complete
    against = Accounting.of(1, [trained(job, 0.9).model_copy(update={"mismatches": [found]})])
    assert not against.complete
    assert "mismatches 1" in str(against)


def test_a_row_shows_what_is_rare_only_when_it_is_there() -> None:
    (job,) = jobs_of(1, 0.1)
    rare = {"attempt_causes", "mismatches", "others", "correct", "environment", "trainer"}

    assert not rare & set(json.loads(lost_row(job, "failed", "it broke", LOST[:1]).line()))
    assert json.loads(lost_row(job, "failed", "it broke", LOST).line())["attempt_causes"] == LOST
