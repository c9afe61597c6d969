"""What a race decides from constructed rows: who leaves, when it ends, what it asks for, and that it never changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from nn.datasets.mnist import MNIST_DIGEST
from nn.weights import digest
from orchestrator.analysis.race.conclusion import Conclusion, Wording, conclusion
from orchestrator.analysis.race.course import Course, Terms, course
from orchestrator.analysis.race.field import Field
from orchestrator.analysis.race.outlook import outlook, what_would_decide
from orchestrator.folder.rows import Row, accepted_row, lost_row
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.rounds import Look, Round
from tests.support.sweeps import sweep_of
from worker.job import Job, Result
from worker.trainers.protocol import Metric
from worker.trainers.registry import trainer

RATES = (0.01, 0.02, 0.03)
#: A job's final accuracy, or how it ended instead.
Ends = Callable[[Job], float | str]
Rows = dict[str, Row]
BLOB = b"weights"


def sweep(seeds: int = 5, rates: tuple[float, ...] = RATES) -> Manifest:
    made = sweep_of(seeds=tuple(range(seeds)), learning_rates=rates, epochs=1)
    jobs = [job.key for job in made.jobs(MNIST_DIGEST)]
    return Manifest(name="a", specification=made, dataset=MNIST_DIGEST, jobs=jobs, provenance=provenance())


def rate(job: Job) -> float:
    return float(job.options.learning_rate)  # type: ignore[attr-defined]


def around(means: Mapping[float, float], sd: float = 0.001) -> Ends:
    """Return accuracies around the means of the learning rates; each job has its own, whenever it is asked for."""
    return lambda job: float(np.random.default_rng([job.seed, int(1e6 * rate(job))]).normal(means[rate(job)], sd))


def row(job: Job, end: float | str) -> Row:
    if end in ("failed", "cancelled"):
        return lost_row(job, end, "for a test")  # type: ignore[arg-type]
    result = Result(
        job=job.key,
        status="diverged" if end == "diverged" else "succeeded",
        validation_score=[0.1 if isinstance(end, str) else end],
        epoch_seconds=[2.0],
        weights_sha256=digest(BLOB),
        weights_bytes=len(BLOB),
        worker="w@host",
        attempts=1,
    )
    return accepted_row(job, result)


def run(manifest: Manifest, terms: Terms, ends: Ends) -> tuple[Manifest, Rows, Course]:
    """Run a race to its end: train all jobs, ask what follows, and again."""
    rows: Rows = {}
    while True:
        rows |= {key: row(job, ends(job)) for key, job in manifest.jobs_by_key().items() if key not in rows}
        found = course(manifest, rows, terms)
        if found.round is None:
            return manifest, rows, found
        manifest = manifest.with_round(found.round, Look(command="decide", seeds=1, rows=len(rows)))


def seeds_of(found: Course) -> list[int]:
    return [len(jobs) for jobs in found.field.jobs]


def say(manifest: Manifest, rows: Rows, found: Course, terms: Terms) -> Conclusion:
    words = Wording(found, JobNames(manifest.jobs_by_key().values(), manifest.axes), rows)
    more = what_would_decide(found, rows) if found.ended == "budget" else None
    return conclusion(found, words, terms.within, terms.budget, more)


def test_a_leader_that_is_better_wins_without_further_jobs() -> None:
    terms = Terms(0.001, 100)
    manifest, rows, found = run(sweep(), terms, around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96}))
    assert (found.ended, found.field.spent, found.full_grid, found.saved) == ("separated", 0, 15, 0)
    answer = say(manifest, rows, found, terms)
    assert answer.sentence == "Use learning rate 0.03: it beats every other configuration, decided at 5 seeds."
    assert (answer.decided, answer.leader, answer.jobs_to_decide) == (True, {"learning_rate": 0.03}, None)
    assert answer.contenders == ({"learning_rate": 0.03},)


def test_who_is_beaten_gets_no_further_seeds_and_the_others_go_on() -> None:
    _, _, found = run(sweep(), Terms(1e-9, 1000), around({0.01: 0.90, 0.02: 0.9585, 0.03: 0.96}))
    assert found.looks[0].beaten == (0,)
    assert found.ended == "separated"
    *rest, last = seeds_of(found)
    assert rest[0] == 5
    assert last == found.seeds >= 10
    assert found.saved == found.seeds - 5


def test_equals_end_within_the_tolerance() -> None:
    terms = Terms(0.002, 1000)
    manifest, rows, found = run(sweep(), terms, around(dict.fromkeys(RATES, 0.96)))
    assert found.ended == "within"
    answer = say(manifest, rows, found, terms)
    assert answer.decided
    assert "no configuration is better by more than 0.2 points, decided at " in answer.sentence
    assert len(answer.contenders) == 3


def test_a_race_whose_budget_is_gone_says_what_would_decide() -> None:
    terms = Terms(0.001, 20)
    manifest, rows, found = run(sweep(), terms, around(dict.fromkeys(RATES, 0.96), 0.002))
    assert (found.ended, found.field.spent, found.state.next_jobs) == ("budget", 15, 30)
    answer = say(manifest, rows, found, terms)
    assert not answer.decided
    assert answer.jobs_to_decide is not None
    assert answer.sentence.startswith("Tied: learning rate ")
    assert "the next look takes 30 further jobs, and 5 of 20 are left in the budget. About " in answer.sentence


def test_a_larger_budget_goes_on_with_the_same_decisions() -> None:
    ends = around({0.01: 0.955, 0.02: 0.9598, 0.03: 0.96}, 0.002)
    manifest, _, small = run(sweep(), Terms(0.0005, 20), ends)
    assert small.ended == "budget"
    _, _, onward = run(manifest, Terms(0.0005, 5000), ends)
    _, _, at_once = run(sweep(), Terms(0.0005, 5000), ends)
    assert onward.looks[: len(small.looks)] == small.looks
    assert (onward.looks, onward.ended, onward.field.spent) == (at_once.looks, at_once.ended, at_once.field.spent)


@pytest.mark.parametrize("stop", range(0, 60, 7))
def test_a_race_that_is_interrupted_anywhere_makes_the_same_decisions(stop: int) -> None:
    terms, ends = Terms(0.001, 500), around({0.01: 0.957, 0.02: 0.9598, 0.03: 0.96}, 0.002)
    manifest, rows, whole = run(sweep(3), terms, ends)
    # Given only some of the rows, in another order of arrival
    kept = list(rows.items())
    random.Random(stop).shuffle(kept)
    found = course(manifest, dict(kept[:stop]), terms)
    # Then what is decided was decided the same, and the race waits for the others.
    assert found.looks == whole.looks[: len(found.looks)]
    assert stop >= len(rows) or (found.ended, found.round) == (None, None)
    again = course(manifest, dict(kept), terms)
    assert (again.looks, again.ended) == (whole.looks, whole.ended)


@pytest.mark.parametrize(("seeds", "first"), [(1, 5), (5, 5), (6, 10), (12, 20)])
def test_the_first_look_is_at_the_first_number_of_seeds_that_stands(seeds: int, first: int) -> None:
    _, _, found = run(sweep(seeds), Terms(0.001, 500), around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96}))
    assert [look.seeds for look in found.looks] == [first]
    assert seeds_of(found) == [first] * 3


def test_configurations_with_fewer_seeds_catch_up_with_the_seeds_of_the_others() -> None:
    # Given a sweep of which one configuration has been confirmed on fresh seeds
    fresh = Round(kind="confirm", seeds=(100, 101, 102), configurations=({"learning_rate": 0.03},))
    manifest = sweep(3).with_round(fresh, Look(command="confirm", seeds=3, rows=9))
    field = Field(manifest)
    assert (field.present, field.seen) == ((3, 3, 6), 1)
    # Then the first look compares all under the same seeds: those of the sweep, in its order.
    _, _, found = run(manifest, Terms(0.001, 100), around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96}))
    assert found.field.seeds(5) == (0, 1, 2, 100, 101)
    assert [sorted(jobs) for jobs in found.field.jobs[:2]] == [[0, 1, 2, 100, 101]] * 2
    assert found.field.spent == 4


def test_further_seeds_are_those_after_the_largest_and_wrap_around() -> None:
    made = sweep_of(seeds=(2**32 - 1, 1), learning_rates=(0.1, 0.2), epochs=1)
    jobs = [job.key for job in made.jobs(MNIST_DIGEST)]
    field = Field(Manifest(name="a", specification=made, dataset=MNIST_DIGEST, jobs=jobs, provenance=provenance()))
    assert field.seeds(5) == (2**32 - 1, 1, 0, 2, 3)
    assert field.seeds(1) == (2**32 - 1,)


def test_where_lower_is_better_the_lowest_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(trainer("network")), "metric", Metric(name="error", higher_is_better=False))
    terms = Terms(0.001, 100)
    manifest, rows, found = run(sweep(), terms, around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96}))
    assert say(manifest, rows, found, terms).leader == {"learning_rate": 0.01}


def test_a_job_that_failed_is_left_out() -> None:
    ends = around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96})
    _, _, found = run(sweep(), Terms(0.001, 100), lambda job: "failed" if job.seed == 1 else ends(job))
    assert (found.ended, found.looks[0].leader, found.looks[0].unfit) == ("separated", 2, ())


def test_a_configuration_of_which_most_jobs_failed_leaves() -> None:
    ends = around({0.01: 0.90, 0.02: 0.9599, 0.03: 0.96})
    terms = Terms(0.003, 100)
    manifest, rows, found = run(sweep(), terms, lambda job: "failed" if rate(job) < 0.02 and job.seed else ends(job))
    (look,) = found.looks
    assert (look.unfit, look.beaten) == ((0,), ())
    words = Wording(found, JobNames(manifest.jobs_by_key().values()), rows)
    assert "learning rate 0.01 leaves (4 failed of its 5 jobs)" in words.look(look)


def test_a_race_in_which_nothing_trains_ends() -> None:
    terms = Terms(0.001, 100)
    manifest, rows, found = run(sweep(), terms, lambda _job: "failed")
    assert found.ended == "nothing trains"
    answer = say(manifest, rows, found, terms)
    assert (answer.decided, answer.leader) == (False, None)
    assert answer.sentence == "Undecided: more than half of the jobs of every configuration diverged or failed."


def test_a_configuration_that_diverges_leaves_unless_it_leads_all_the_same() -> None:
    ends = around({0.01: 0.90, 0.02: 0.95, 0.03: 0.96})
    # Given one that is best when it trains, and of which a job diverged
    terms = Terms(0.001, 100)
    manifest, rows, found = run(
        sweep(), terms, lambda job: "diverged" if rate(job) == 0.03 and job.seed == 2 else ends(job)
    )
    # Then it leaves by rule, and the answer says that one left in this way.
    assert found.looks[0].unfit == (2,)
    answer = say(manifest, rows, found, terms)
    assert answer.sentence.startswith("Use learning rate 0.02: it beats every other configuration that trains reliably")


def test_configurations_that_all_diverge_now_and_then_are_compared_by_what_trained() -> None:
    ends = around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96})
    terms = Terms(0.001, 100)
    manifest, rows, found = run(sweep(), terms, lambda job: "diverged" if job.seed == 2 else ends(job))
    assert (found.ended, found.looks[0].unfit, found.looks[0].leader) == ("separated", (), 2)
    assert "Use learning rate 0.03 (1 diverged of its 5 jobs): " in say(manifest, rows, found, terms).sentence


def test_a_cancelled_job_ends_the_race_undecided() -> None:
    ends = around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96})
    terms = Terms(0.001, 100)
    manifest, rows, found = run(sweep(), terms, lambda job: "cancelled" if job.seed == 4 else ends(job))
    assert found.ended == "cancelled"
    assert say(manifest, rows, found, terms).sentence == "Undecided: the sweep was cancelled before the first look."


def test_a_budget_that_lacks_the_first_look_says_what_it_takes() -> None:
    terms = Terms(0.001, 5)
    manifest, rows, found = run(sweep(3), terms, around(dict.fromkeys(RATES, 0.9)))
    assert (found.ended, found.looks) == ("budget", ())
    sentence = "Undecided: the first look takes 6 further jobs, more than the budget of 5."
    assert say(manifest, rows, found, terms).sentence == sentence


def test_the_outlook_counts_jobs_and_seconds() -> None:
    manifest = sweep()
    ends = around(dict.fromkeys(RATES, 0.96), 0.002)
    rows = {key: row(job, ends(job)) for key, job in manifest.jobs_by_key().items()}
    found = course(manifest, rows, Terms(0.001, 200))
    expected = outlook(found, rows, 0.5)
    assert expected is not None
    assert 15 <= expected.jobs_low <= expected.jobs <= expected.jobs_high <= 200
    assert expected.seconds == expected.jobs * 0.5
    assert 0.0 < expected.decided <= 1.0
    assert outlook(found, rows, None) is not None
    # It is unknown while there is nothing to go by.
    assert outlook(course(sweep(1), {}, Terms(0.001, 200)), {}, 0.5) is None


@pytest.mark.parametrize("equal", [0.5, 1.0])
def test_scores_without_any_noise_are_decided(equal: float) -> None:
    # A trainer may ignore its seed.
    values: Any = dict.fromkeys(RATES, equal)
    _, _, found = run(sweep(), Terms(0.001, 100), lambda job: float(values[rate(job)]))
    assert found.ended == "within"
    _, _, found = run(sweep(), Terms(0.001, 100), lambda job: equal - rate(job))
    assert (found.ended, found.looks[0].leader) == ("separated", 0)
