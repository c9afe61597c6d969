"""The accounting of a report and its timeline: who trained what and when, and what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row, lost_row
from orchestrator.report import attempts
from orchestrator.report.attempts import Attempts
from orchestrator.report.charts import configurations, drawing
from orchestrator.report.charts.kinds import timeline
from orchestrator.report.contents import accounting
from tests.support.boards import trained
from tests.support.known import known
from tests.support.sweep_folders import snapshot_of
from tests.support.sweeps import sweep_of
from worker.job import Attempt, Job, Mismatch

BEGIN = 1.7e9
TWO_JOBS = sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=2)


def attempt(number: int, worker: str, start: float, stop: float | None, end: str | None, **fields: Any) -> Attempt:
    known: dict[str, Any] = {"cause": "first run"} | fields
    ended = None if stop is None else BEGIN + stop
    return Attempt(number=number, worker=worker, started=BEGIN + start, ended=ended, end=end, **known)  # type: ignore[arg-type]


def eventful(job: Job) -> Row | None:
    """End a job, by its seed: as it should, after losses, by failing, by reuse, or not yet."""
    lost = attempt(1, "w1@h", 0, 30, "worker lost")
    rows: Mapping[int, Row | None] = {
        0: trained(job, 0.9, worker="w1@h", seconds=4.0).with_history([attempt(1, "w1@h", 0, 10, "finished")]),
        1: trained(job, 0.8, worker="w2@h", seconds=4.0)
        .model_copy(update={"attempts": 2})
        .with_history([lost, attempt(2, "w2@h", 30, 35, "finished", cause="worker lost", epochs_before=1)]),
        2: trained(job, 0.1, worker="w1@h", status="diverged")
        .model_copy(
            update={
                "mismatches": [Mismatch(first="a" * 64, second="b" * 64, run=job.key, worker="w9@h")],
                "error": "NaN",
            }
        )
        # It went on from a shorter job.
        .with_history([attempt(1, "w1@h", 10, 12, "finished", epochs_before=1)]),
        3: lost_row(job, "failed", "it </td> broke", [attempt(1, "<b>w3@h", 12, 14, "failed")]),
        4: trained(job, 0.9).reused("another"),
    }
    return rows.get(job.seed)


@pytest.fixture
def snapshot(tmp_path: Path) -> Sweep:
    return snapshot_of(tmp_path, sweep_of(seeds=tuple(range(6)), learning_rates=(0.1,), epochs=2), eventful)


def marks(svg: str) -> list[ElementTree.Element]:
    return [each for each in ElementTree.fromstring(svg).iter() if each.get("aria-label")]  # noqa: S314 - our own


class TestAttempts:
    def test_they_are_on_one_clock_from_the_first_one_on(self, snapshot: Sweep) -> None:
        made = attempts.of(snapshot)
        found = [(span.job.seed, span.number, span.worker, span.start, span.stop, span.end) for span in made.spans]
        assert found == [
            (0, 1, "w1@h", 0, 10, "finished"),
            (1, 1, "w1@h", 0, 30, "worker lost"),
            (2, 1, "w1@h", 10, 12, "finished"),
            (3, 1, "<b>w3@h", 12, 14, "failed"),
            (1, 2, "w2@h", 30, 35, "finished"),
        ]
        assert (made.untimed, made.seconds) == (0, 35)
        # A worker has a lane for each process.
        assert [attempts.lanes(spans) for spans in made.by_worker().values()] == [[0, 1, 0], [0], [0]]

    def test_one_that_finished_at_an_unknown_time_lasted_for_its_epochs_at_least(self, tmp_path: Path) -> None:
        def interrupted(job: Job) -> Row:
            open_end = {0: "finished", 1: None}[job.seed]
            row = trained(job, 0.9, worker="w2@h", seconds=4.0)
            return row.with_history([attempt(1, "w1@h", 0, None, open_end)])

        made = attempts.of(snapshot_of(tmp_path, TWO_JOBS, interrupted))
        assert [(span.job.seed, span.stop) for span in made.spans] == [(0, 8)]
        assert made.untimed == 1

    def test_a_foreign_folder_may_hold_any_times(self, tmp_path: Path) -> None:
        def foreign(job: Job) -> Row:
            made = attempt(1, "w@h", 0, -100, "finished") if job.seed else attempt(1, "w@h", 9e10, None, "finished")
            return trained(job, 0.9).with_history([made])

        snapshot = snapshot_of(tmp_path, TWO_JOBS, foreign)
        assert [(span.start, span.stop) for span in attempts.of(snapshot).spans] == [(0, 0), (9e10, 9e10 + 2)]
        chart = timeline.chart(snapshot, "timeline")
        assert "a pause that is left out" in chart.caption
        drawing.svg(chart)

    @pytest.mark.parametrize(
        ("begins", "contributed"),
        [
            ((0, 1, 1), [1, 0, 1]),
            # The third attempt found no checkpoint.
            ((0, 1, 0), [0, 0, 2]),
            # The second one ended before its first checkpoint.
            ((0, 1, 0, 1), [0, 0, 1, 1]),
        ],
    )
    def test_epochs_count_for_the_attempt_that_trained_them_last(
        self, begins: Sequence[int], contributed: list[int]
    ) -> None:
        (job,) = sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=2).jobs_by_key("d" * 64).values()
        made = [attempt(n, "a@h", n, n + 1, "hung", epochs_before=begin) for n, begin in enumerate(begins, 1)]
        row = trained(job, 0.9).with_history(made)
        assert [len(epochs) for _, epochs in attempts.contributions(row)] == contributed

    def test_a_pause_is_longer_than_the_work_around_it(self, snapshot: Sweep) -> None:
        spans = list(attempts.of(snapshot).spans)
        assert Attempts(spans, 0).pauses == Attempts([*spans, *_later(spans, 94)], 0).pauses == []
        # Such as the night between two sessions
        made = Attempts([*spans, *_later(spans, 36_000)], 0)
        assert made.pauses == [(35, 36_000)]
        assert [made.active(seconds) for seconds in (0, 35, 20_000, 36_000, 36_010)] == [0, 35, 35, 35, 45]


def _later(spans: Sequence[attempts.Span], seconds: float) -> list[attempts.Span]:
    return [replace(span, start=span.start + seconds, stop=span.stop + seconds) for span in spans]


class TestSection:
    def test_it_counts_jobs_and_attempts_by_cause(self, snapshot: Sweep) -> None:
        facts = accounting.facts(snapshot, attempts.of(snapshot))
        assert {fact.term: fact.text for fact in facts} == {
            "Jobs": "4 of 6 have a result; 1 of these diverged; 1 failed; 1 has not ended",
            "Attempts": "5 at 5 jobs; repeated: 1 after the loss of a worker",
            "Reused": "1 result, not trained for this sweep: 1 from another",
            "Mismatches": "1 job of which two executions ended with different weights: evidence of a fault",
            "Time": "35 s from the first attempt to the end of the last one",
            "Training": "17 s in epochs that count, of 49 s in attempts",
        }

    def test_who_trained_what(self, snapshot: Sweep) -> None:
        assert list(known(accounting.workers(snapshot, attempts.of(snapshot))).rows) == [
            ("w1@h", "2", "3", "4", "13.0", "2", "60 %"),
            ("w2@h", "1", "1", "1", "4.0", "1", "14 %"),
            ("<b>w3@h", "0", "1", "0", "0.0", "1", "6 %"),
        ]

    def test_jobs_that_need_attention_come_with_their_reasons(self, snapshot: Sweep) -> None:
        assert list(known(accounting.problems(snapshot)).rows) == [
            ("seed 2", "diverged, mismatched", f"NaN; weights {'a' * 12} first, {'b' * 12} on w9@h"),
            ("seed 3", "failed", "it </td> broke"),
        ]
        assert list(known(accounting.faults(snapshot, attempts.of(snapshot))).rows) == [
            ("seed 1", "1", "w1@h", "first run", "worker lost", "0.0", "30.0"),
            ("seed 3", "1", "<b>w3@h", "first run", "failed", "12.0", "2.0"),
        ]

    def test_a_sweep_without_histories_says_why_it_has_no_times(self, tmp_path: Path) -> None:
        old = snapshot_of(tmp_path, TWO_JOBS, lambda job: trained(job, 0.9, seconds=3.0))
        made = attempts.of(old)
        assert accounting.untimed(made).startswith("When the attempts began and ended is not known: their cluster was")
        assert list(known(accounting.workers(old, made)).rows) == [("w@host", "2", "2", "4", "12.0", "-", "-")]
        assert accounting.problems(old) is accounting.faults(old, made) is None
        assert timeline.absent(old) == "no attempt at one of its jobs has times"

    def test_a_sweep_without_rows_has_only_its_number_of_jobs(self, tmp_path: Path) -> None:
        empty = snapshot_of(tmp_path, TWO_JOBS, lambda _: None)
        made = attempts.of(empty)
        assert [fact.text for fact in accounting.facts(empty, made)] == ["0 of 2 have a result; 2 have not ended"]
        assert accounting.workers(empty, made) is accounting.problems(empty) is None
        assert accounting.untimed(made) == ""


class TestTimeline:
    def test_each_attempt_is_a_bar_and_each_fault_a_mark_with_words_beside_it(self, snapshot: Sweep) -> None:
        chart = timeline.chart(snapshot, "timeline")
        svg = drawing.svg(chart)
        found = [(each.get("data-seed"), each.get("aria-label")) for each in marks(svg)]
        attempts_of_jobs = [each for each in found if each[0] is not None]
        assert sorted(attempts_of_jobs) == [
            ("0", "seed 0: finished after 10 s on w1@h"),
            ("1", "seed 1, attempt 2 (worker lost): finished after 5 s on w2@h"),
            ("1", "seed 1: worker lost after 30 s on w1@h"),
            ("1", "seed 1: worker lost after 30 s on w1@h"),
            ("2", "seed 2: finished after 2 s on w1@h"),
            ("3", "seed 3: failed after 2 s on <b>w3@h"),
            ("3", "seed 3: failed after 2 s on <b>w3@h"),
        ]
        assert "×: worker lost; diamond: failed; a lost worker's bar ends when the loss was noticed" in chart.caption
        words = [text.strip() for text in ElementTree.fromstring(svg).itertext()]  # noqa: S314 - our own
        assert {"worker lost", "failed", "w1@h, 1", "w1@h, 2", "<b>w3@h"} <= set(words)
        assert "time since the first attempt began, s" in words
        # The table has every attempt.
        assert len(chart.rows) == 5
        assert chart.table.rows[1] == ("seed 1", "1", "w1@h", "first run", "0.00", "30.00", "worker lost")

    def test_many_attempts_are_drawn_together(self, snapshot: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(configurations, "MOST_JOBS", 4)
        chart = timeline.chart(snapshot, "timeline")
        said = [str(each.get("aria-label")) for each in marks(drawing.svg(chart))]
        # Two processes of w1 trained for 12 s, one for 18 s more, and then none.
        assert [each for each in said if each.startswith("w1@h")] == ["w1@h: trained from 0 to 30"]
        assert [each for each in said if each.startswith("w2@h")] == ["w2@h: trained from 30 to 35"]
        assert sum("worker lost" in each for each in said) == 2
        assert "Bar: a time in which a worker trained; gaps of less than 0.58 s are not shown" in chart.caption
