"""What a race decides from constructed rows: who leaves, when it ends, what it asks for, and that it never changes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from orchestrator.analysis.race import Conclusion, Course, Field, Terms, Wording, course
from orchestrator.folder.rows import Row
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.rounds import Look, Round
from tests.support.boards import ended
from tests.support.known import known
from tests.support.sweeps import manifest_of, sweep_of
from worker.job import Job
from worker.trainers.protocol import Metric
from worker.trainers.registry import trainer

RATES = (0.01, 0.02, 0.03)
#: A job's final accuracy, or how it ended instead.
Ends = Callable[[Job], float | str]


def sweep(seeds: int = 5) -> Manifest:
    return manifest_of(sweep_of(seeds=tuple(range(seeds)), learning_rates=RATES, epochs=2))


def rate(job: Job) -> float:
    return float(job.options.learning_rate)  # type: ignore[attr-defined]


def around(means: Mapping[float, float], sd: float = 0.001) -> Ends:
    """Return accuracies around the means of the learning rates; each job has its own, whenever it is asked for."""
    return lambda job: float(np.random.default_rng([job.seed, int(1e6 * rate(job))]).normal(means[rate(job)], sd))


CLEAR = around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96})
EQUAL = around(dict.fromkeys(RATES, 0.96))


def but(end: str, when: Callable[[Job], bool], ends: Ends = CLEAR) -> Ends:
    """Return the same ends but for some jobs."""
    return lambda job: end if when(job) else ends(job)


@dataclass(frozen=True)
class Raced:
    """A race after its end."""

    manifest: Manifest
    rows: dict[str, Row]
    course: Course
    terms: Terms

    @property
    def wording(self) -> Wording:
        return Wording(self.course, JobNames(self.manifest.jobs_by_key().values(), self.manifest.axes))

    @property
    def answer(self) -> Conclusion:
        return self.wording.conclusion()

    @property
    def seeds(self) -> list[int]:
        return [len(jobs) for jobs in self.course.field.jobs]


def run(ends: Ends, within: float = 0.001, budget: int = 100, manifest: Manifest | None = None) -> Raced:
    """Run a race to its end: train all jobs, ask what follows, and again."""
    grown, terms = manifest or sweep(), Terms(within, budget)
    rows: dict[str, Row] = {}
    while True:
        lacking = {key: job for key, job in grown.jobs_by_key().items() if key not in rows}
        rows |= {key: known(ended(job, ends(job))) for key, job in lacking.items()}
        found = course(grown, rows, terms)
        if found.round is None:
            return Raced(grown, rows, found, terms)
        grown = grown.with_round(found.round, Look(command="decide", seeds=1, rows=len(rows)))


#: Races that end at their first look or before it: how jobs end, the end, who is beaten and unfit, and the answer.
AT_ONCE: dict[str, tuple[Ends, str, list[tuple[int, ...]], str]] = {
    "a leader that is better": (
        CLEAR, "separated", [(0, 1), ()],
        "Use learning rate 0.03: it beats every other configuration, decided at 5 seeds.",
    ),
    "a job of each failed and is left out": (
        but("failed", lambda job: job.seed == 1), "separated", [(0, 1), ()],
        "Use learning rate 0.03 (1 failed of its 5 jobs): it beats every other configuration, decided at 5 seeds.",
    ),
    "most jobs of one failed": (
        but("failed", lambda job: rate(job) == 0.01 and job.seed > 0), "separated", [(1,), (0,)],
        "Use learning rate 0.03: it beats every other configuration that trains reliably, decided at 5 seeds.",
    ),
    "the one that is best when it trains diverged once": (
        but("diverged", lambda job: rate(job) == 0.03 and job.seed == 2), "separated", [(0,), (2,)],
        "Use learning rate 0.02: it beats every other configuration that trains reliably, decided at 5 seeds.",
    ),
    "all diverge now and then and are compared by what trained": (
        but("diverged", lambda job: job.seed == 2), "separated", [(0, 1), ()],
        "Use learning rate 0.03 (1 diverged of its 5 jobs): it beats every other configuration, decided at 5 seeds.",
    ),
    "nothing trains": (
        but("failed", lambda _job: True), "nothing trains", [],
        "Undecided: more than half of the jobs of every configuration diverged or failed.",
    ),
    "cancelled": (
        but("cancelled", lambda job: job.seed == 4), "cancelled", [],
        "Undecided: the sweep was cancelled before the first look.",
    ),
    # A trainer may ignore its seed.
    "without noise": (
        lambda job: 1 - rate(job), "separated", [(1, 2), ()],
        "Use learning rate 0.01: it beats every other configuration, decided at 5 seeds.",
    ),
    "all equal without noise": (
        lambda _job: 1.0, "within", [(), ()],
        "Use learning rate 0.01: no configuration is better by more than 0.1 points, decided at 5 seeds; learning rate "
        "0.02 and learning rate 0.03 are not ruled out.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AT_ONCE)
def test_a_race_that_ends_at_once(case: str) -> None:
    ends, end, leaving, sentence = AT_ONCE[case]
    raced = run(ends)
    found, answer = raced.course, raced.answer
    assert (found.ended, answer.sentence) == (end, sentence)
    assert [each for look in found.looks for each in (look.beaten, look.unfit)] == leaving
    assert (found.field.spent, found.full_grid, found.saved) == (0, 15 if leaving else 0, 0)
    assert answer.decided == (end in ("separated", "within"))
    # The leader comes first of those that may be the best.
    named = re.match(r"Use learning rate ([\d.]+)", sentence)
    assert answer.leader == (None if named is None else {"learning_rate": float(named[1])})
    staying = {RATES[each] for look in found.looks for each in look.staying}
    assert [{"learning_rate": each} for each in sorted(staying)] == sorted(
        answer.contenders, key=lambda each: float(each["learning_rate"])
    )
    assert answer.contenders[:1] == (() if named is None else (answer.leader,))


def test_who_is_beaten_or_unfit_gets_no_further_seeds_and_the_others_go_on() -> None:
    for ends, leaving, told in (
        (around({0.01: 0.90, 0.02: 0.9585, 0.03: 0.96}), ((0,), ()), "learning rate 0.01 leaves, beaten"),
        (
            but("failed", lambda job: rate(job) < 0.02 and job.seed > 0, around({0.02: 0.9585, 0.03: 0.96, 0.01: 1})),
            ((), (0,)),
            "learning rate 0.01 leaves (4 failed of its 5 jobs)",
        ),
    ):
        raced = run(ends, within=1e-9, budget=1000)
        first, last = raced.course.looks[0], raced.course.seeds
        assert (first.beaten, first.unfit) == leaving
        assert raced.wording.look(first).endswith(f"; {told}; 2 of 3 configurations may be the best")
        assert raced.course.ended == "separated"
        assert raced.seeds[0] == 5
        assert raced.seeds[2] == last >= 10
        assert raced.course.saved == last - 5


def test_of_many_that_leave_four_are_named() -> None:
    rates = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
    ends = around({each: 0.96 if each == 0.07 else 0.9 for each in rates})
    for jobs, told in (
        (
            ends,
            "learning rate 0.01, learning rate 0.02, learning rate 0.03, learning rate 0.04 and 2 more leave, beaten",
        ),
        (
            but("failed", lambda job: rate(job) < 0.07, ends),
            "; ".join(f"learning rate {each} leaves (5 failed of its 5 jobs)" for each in rates[:4])
            + "; 2 more leave, which diverged or failed",
        ),
    ):
        manifest = manifest_of(sweep_of(seeds=(0, 1, 2, 3, 4), learning_rates=rates, epochs=2))
        raced = run(jobs, manifest=manifest)
        assert raced.wording.look(raced.course.looks[0]) == (
            f"Look at 5 seeds: learning rate 0.07 leads; {told}; 1 of 7 configurations may be the best"
        )


def test_equals_end_within_the_tolerance() -> None:
    raced = run(EQUAL, within=0.002, budget=1000)
    assert raced.course.ended == "within"
    assert raced.answer.decided
    assert "no configuration is better by more than 0.2 points, decided at " in raced.answer.sentence
    assert len(raced.answer.contenders) == 3


def test_a_race_whose_budget_is_gone_says_what_it_takes() -> None:
    raced = run(around(dict.fromkeys(RATES, 0.96), 0.002), budget=20)
    assert (raced.course.ended, raced.course.field.spent, raced.course.state.next_jobs) == ("budget", 15, 30)
    answer = raced.answer
    assert not answer.decided
    assert answer.sentence.startswith("Tied: learning rate ")
    assert answer.sentence.endswith(
        "the next look takes 30 further jobs, and 5 of 20 are left in the budget: a budget of 45 goes on."
    )
    # Also before the first look
    raced = run(EQUAL, budget=5, manifest=sweep(3))
    assert (raced.course.ended, raced.course.looks) == ("budget", ())
    assert raced.answer.sentence == "Undecided: the first look takes 6 further jobs, more than the budget of 5."


def test_a_larger_budget_goes_on_with_the_same_decisions() -> None:
    ends = around({0.01: 0.955, 0.02: 0.9598, 0.03: 0.96}, 0.002)
    small = run(ends, 0.0005, 20)
    assert small.course.ended == "budget"
    onward, at_once = (run(ends, 0.0005, 5000, manifest).course for manifest in (small.manifest, sweep()))
    assert onward.looks[: len(small.course.looks)] == small.course.looks
    assert (onward.looks, onward.ended, onward.field.spent) == (at_once.looks, at_once.ended, at_once.field.spent)
    assert onward.ended != "budget"


def test_a_race_that_is_interrupted_anywhere_makes_the_same_decisions() -> None:
    whole = run(around({0.01: 0.957, 0.02: 0.9598, 0.03: 0.96}, 0.002), budget=500, manifest=sweep(3))
    for stop in range(0, 60, 7):
        # Given only some of the rows, in another order of arrival
        kept = list(whole.rows.items())
        random.Random(stop).shuffle(kept)
        found = course(whole.manifest, dict(kept[:stop]), whole.terms)
        # Then what is decided was decided the same, and the race waits for the others.
        assert found.looks == whole.course.looks[: len(found.looks)]
        assert stop >= len(kept) or (found.ended, found.round) == (None, None)
        again = course(whole.manifest, dict(kept), whole.terms)
        assert (again.looks, again.ended) == (whole.course.looks, whole.course.ended)


@pytest.mark.parametrize(("seeds", "first"), [(1, 5), (5, 5), (6, 10)])
def test_the_first_look_is_at_the_first_number_of_seeds_that_stands(seeds: int, first: int) -> None:
    raced = run(CLEAR, manifest=sweep(seeds))
    assert [look.seeds for look in raced.course.looks] == [first]
    assert raced.seeds == [first] * 3


def test_configurations_with_fewer_seeds_catch_up_with_the_seeds_of_the_others() -> None:
    # Given a sweep of which one configuration has been confirmed on fresh seeds
    fresh = Round(kind="confirm", seeds=(100, 101, 102), configurations=({"learning_rate": 0.03},))
    manifest = sweep(3).with_round(fresh, Look(command="confirm", seeds=3, rows=9))
    field = Field(manifest)
    assert (field.present, field.seen) == ((3, 3, 6), 1)
    # Then the first look compares all under the same seeds: those of the sweep, in its order.
    found = run(CLEAR, manifest=manifest).course
    assert found.field.seeds(5) == (0, 1, 2, 100, 101)
    assert [sorted(jobs) for jobs in found.field.jobs[:2]] == [[0, 1, 2, 100, 101]] * 2
    assert found.field.spent == 4


def test_further_seeds_are_those_after_the_largest_and_wrap_around() -> None:
    field = Field(manifest_of(sweep_of(seeds=(2**32 - 1, 1), learning_rates=RATES, epochs=2)))
    assert field.seeds(5) == (2**32 - 1, 1, 0, 2, 3)
    assert field.seeds(1) == (2**32 - 1,)


def test_where_lower_is_better_the_lowest_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(trainer("network")), "metric", Metric(name="error", higher_is_better=False))
    assert run(CLEAR).answer.leader == {"learning_rate": 0.01}
