"""A race over constructed rows: which configurations get which seeds, when it ends, and that it never decides anew."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from orchestrator.analysis.race import Race, Terms
from orchestrator.analysis.statistics.pairs import IN_ORDER, as_array, lower_bounds
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Look, Round
from tests.support.boards import ended
from tests.support.known import known
from tests.support.sweeps import manifest_of, sweep_of
from worker.job import Job

RATES = (0.01, 0.02, 0.03)
#: A job's final accuracy, or how it ended instead.
Ends = Callable[[Job], float | str]


def sweep(seeds: int = 5, rates: tuple[float, ...] = RATES) -> Manifest:
    return manifest_of(sweep_of(seeds=tuple(range(seeds)), learning_rates=rates, epochs=2))


def rate(job: Job) -> float:
    return float(job.options.learning_rate)  # type: ignore[attr-defined]


def around(means: Mapping[float, float], sd: float = 0.001) -> Ends:
    """Return accuracies around the means of the learning rates; each job has its own, whenever it is asked for."""
    return lambda job: float(np.random.default_rng([job.seed, int(1e6 * rate(job))]).normal(means[rate(job)], sd))


CLEAR = around({0.01: 0.90, 0.02: 0.93, 0.03: 0.96})
#: Two that are equal, and one that is ruled out at the first look.
CLOSE = around({0.01: 0.90, 0.02: 0.96, 0.03: 0.96})


def but(end: str, when: Callable[[Job], bool], ends: Ends = CLEAR) -> Ends:
    """Return the same ends but for some jobs."""
    return lambda job: end if when(job) else ends(job)


def race_of(manifest: Manifest, rows: Mapping[str, Row], terms: Terms) -> Race:
    """Return the race of a sweep whose results were seen before: the verdict of a first look does not decide."""
    manifest = manifest.with_look(Look(command="extend", seeds=1, rows=1))
    manifest = manifest.with_look(Look(command="decide", seeds=1, rows=1, within=terms.within))
    return Race(Sweep.of(SweepFolder(Path("nowhere"), "a"), manifest, manifest.jobs_by_key(), rows), terms)


@dataclass(frozen=True)
class Raced:
    """A race after its end, and each manifest and race before."""

    race: Race
    before: list[tuple[Manifest, Race]] = field(default_factory=list)

    @property
    def rounds(self) -> list[Round]:
        return [*self.race.sweep.manifest.rounds]

    @property
    def seeds(self) -> dict[float, list[int]]:
        """The seeds of each learning rate, in the sweep's order."""
        jobs = list(self.race.sweep.jobs.values())
        return {each: [job.seed for job in jobs if rate(job) == each] for each in sorted({*map(rate, jobs)})}


def run(ends: Ends, within: float = 0.001, budget: int = 100, manifest: Manifest | None = None) -> Raced:
    """Run a race to its end: train all jobs, ask what follows, and again."""
    grown, terms, before = manifest or sweep(), Terms(within, budget), []
    rows: dict[str, Row] = {}
    while True:
        lacking = {key: job for key, job in grown.jobs_by_key().items() if key not in rows}
        rows |= {key: known(ended(job, ends(job))) for key, job in lacking.items()}
        race = race_of(grown, rows, terms)
        if race.next_round is None:
            return Raced(race, before)
        before.append((grown, race))
        grown = grown.with_round(race.next_round, Look(command="decide", seeds=1, rows=len(rows), within=within))


#: How jobs end, the budget, the end, the seeds of each configuration, the jobs added, those saved, and what is said.
ENDINGS: dict[str, tuple[Ends, int, str, list[int], int, int, str]] = {
    "one is the best": (CLEAR, 100, "separated", [5, 5, 5], 0, 0, ""),
    "two are equal": (CLOSE, 100, "within", [5, 12, 12], 14, 7, ""),
    "a job of each failed, so that the look comes later": (
        but("failed", lambda job: job.seed == 1), 100, "separated", [8, 8, 8], 9, 0, "",
    ),
    "one that diverged once does not count against those that train reliably": (
        but("diverged", lambda job: rate(job) == 0.03 and job.seed == 2), 100, "separated", [5, 5, 5], 0, 0, "",
    ),
    "one mostly diverged": (
        but("diverged", lambda job: rate(job) == 0.03 and job.seed > 1), 100, "separated", [5, 5, 5], 0, 0, "",
    ),
    "most jobs of one failed": (
        but("failed", lambda job: rate(job) == 0.01 and job.seed > 0), 100, "nothing trains", [5, 5, 5], 0, 0,
        "Most jobs of learning rate 0.01 did not train, and no further seeds are tried.",
    ),
    "nothing trains": (but("failed", lambda _: True), 100, "nothing trains", [5, 5, 5], 0, 0, ""),
    "cancelled": (
        but("cancelled", lambda job: job.seed == 4), 100, "cancelled", [5, 5, 5], 0, 0, "The sweep was cancelled.",
    ),
    "the budget has less than the next look takes": (
        CLOSE, 13, "budget", [5, 8, 8], 6, 3,
        "The next look, at 12 seeds, takes 8 further jobs; 7 of 13 are left: --budget 14 goes on.",
    ),
    "the budget has less than the first look takes": (
        around(dict.fromkeys(RATES, 0.96), 0.01), 8, "budget", [5, 5, 5], 0, 0,
        "The next look, at 8 seeds, takes 9 further jobs; 8 of 8 are left: --budget 9 goes on.",
    ),
    # A trainer may ignore its seed.
    "without noise": (lambda job: rate(job) ** 2, 100, "separated", [5, 5, 5], 0, 0, ""),
    "all equal, so that nobody knows the step of the scores": (
        lambda _: 1.0, 20, "budget", [8, 8, 8], 9, 0,
        "The next look, at 12 seeds, takes 12 further jobs; 11 of 20 are left: --budget 21 goes on.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_what_is_advised_suffices_for_the_next_look(seeds: int) -> None:
    rates, advised = tuple(0.01 * each for each in range(1, 9)), 0
    manifest = sweep(seeds, rates)
    for number, sd in enumerate(np.geomspace(0.0003, 0.02, 10)):
        means = 0.96 - np.random.default_rng(number).uniform(0, 0.02, len(rates))
        ends = around(dict(zip(rates, means, strict=True)), sd)
        rows = {key: known(ended(job, ends(job))) for key, job in manifest.jobs_by_key().items()}
        swept = Sweep.of(SweepFolder(Path("nowhere"), "a"), manifest, manifest.jobs_by_key(), rows)
        judged = swept.judgement
        # A race has all configurations of the sweep.
        assert swept.select([f"learning_rate={each:g}" for each in rates[1:]]).judgement.advice is None
        if judged.advice is not None:
            advised += 1
            race = race_of(manifest, rows, Terms(judged.advice.within, judged.advice.budget))
            assert judged.advice.budget >= judged.advice.jobs >= race.next_jobs > 0
            likely = race.sweep.judgement.advice
            needs = f"needs about {likely.jobs} jobs if the differences are as they seem, and " if likely else ""
            assert race.prospect.startswith(f"The race {needs}gets at most {judged.advice.budget} jobs. ")
    assert advised > 3


@pytest.mark.parametrize(("failed", "advised"), [(2, True), (4, False)])
def test_no_race_is_advised_where_it_could_end_because_most_jobs_failed(failed: int, advised: bool) -> None:
    close = around({0.01: 0.90, 0.02: 0.96, 0.03: 0.96}, 0.01)
    manifest, ends = sweep(10), but("failed", lambda job: job.seed < failed, close)
    rows = {key: known(ended(job, ends(job))) for key, job in manifest.jobs_by_key().items()}
    swept = Sweep.of(SweepFolder(Path("nowhere"), "a"), manifest, manifest.jobs_by_key(), rows)
    assert (swept.judgement.advice is not None) == advised


@pytest.mark.parametrize("case", ENDINGS)
def test_how_a_race_ends(case: str) -> None:
    ends, budget, end, seeds, spent, saved, told = ENDINGS[case]
    raced = run(ends, budget=budget)
    race = raced.race
    assert (race.ended, str(race)) == (end, told)
    assert [len(each) for each in raced.seeds.values()] == seeds
    assert (race.spent, race.saved, race.full_grid) == (spent, saved, 3 * max(seeds))
    assert race.sweep.judgement.verdict.decided == (end in ("separated", "within"))


@pytest.mark.parametrize("trial", range(20))
def test_the_leader_and_those_that_may_be_better_by_more_than_the_tolerance_get_the_seeds(trial: int) -> None:
    luck = np.random.default_rng(trial)
    rates = tuple(round(0.01 * (i + 1), 2) for i in range(int(luck.integers(2, 7))))
    means = {each: 0.9 + 0.002 * float(luck.normal()) for each in rates}
    within, budget = float(luck.choice([0.0005, 0.002])), int(luck.integers(1, 200))
    raced = run(around(means, 0.002), within, budget, sweep(int(luck.integers(1, 9)), rates))
    for (_, race), further in zip(raced.before, raced.rounds, strict=True):
        leader, *others = race.sweep.judgement.candidates
        scores = as_array([each.oriented for each in (leader, *others)])
        bounds = lower_bounds(scores, 0.05 / (len(rates) - 1), IN_ORDER)
        stays = ~(np.triu(bounds, 1) > 0).any(axis=0)
        racing = [leader, *(each for i, each in enumerate(others, 1) if stays[i] and -bounds[0, i] > within)]
        lacking = [each for each in racing if len(each.entries) < race.next_look]
        wanted = [each.options.learning_rate for each in lacking]  # type: ignore[attr-defined]
        assert [each["learning_rate"] for each in further.configurations] == wanted
        assert str(race) == f"The next look, at {race.next_look} seeds, takes {race.next_jobs} further jobs; " \
            f"{budget - race.spent} of {budget} are left."  # fmt: skip
    race, verdict = raced.race, raced.race.sweep.judgement.verdict
    assert race.spent == sum(each.next_jobs for _, each in raced.before) <= budget
    assert race.ended in ("separated", "within", "budget")
    assert (race.ended == "separated") == (len(verdict.contenders) == 1)
    assert (race.ended == "budget") == (verdict.regret is None or verdict.regret > within)
    assert race.ended != "budget" or race.spent + race.next_jobs > budget


def test_a_larger_budget_goes_on_with_the_same_decisions() -> None:
    ends = around({0.01: 0.955, 0.02: 0.9598, 0.03: 0.96}, 0.002)
    small = run(ends, 0.0005, 20)
    assert small.race.ended == "budget"
    # What is advised counts the jobs that the race has spent, as a budget does.
    advice = small.race.sweep.judgement.advice
    assert advice is not None
    assert small.race.sweep.advised[-1] == str(small.race.spent + advice.budget)
    onward, at_once = (run(ends, 0.0005, 5000, manifest) for manifest in (small.race.sweep.manifest, sweep()))
    assert len(onward.rounds) > len(small.rounds) > 0
    assert onward.rounds == at_once.rounds
    assert onward.rounds[: len(small.rounds)] == small.rounds
    assert (onward.race.ended, onward.race.spent) == (at_once.race.ended, at_once.race.spent)


def test_a_race_that_is_interrupted_anywhere_makes_the_same_decisions() -> None:
    whole = run(around({0.01: 0.957, 0.02: 0.9598, 0.03: 0.96}, 0.002), budget=500, manifest=sweep(3))
    assert len(whole.before) > 2
    rows, terms = list(whole.race.sweep.rows.items()), whole.race.terms
    for stop, (manifest, race) in enumerate(whole.before):
        # Given the rows of a round, in another order of arrival
        random.Random(stop).shuffle(rows)
        arrived = {key: row for key, row in rows if key in race.sweep.jobs}
        again = race_of(manifest, arrived, terms)
        # Then the same follows, with the same words,
        assert (again.next_round, again.ended) == (whole.rounds[stop], None)
        assert (str(again), again.sweep.judgement.verdict) == (str(race), race.sweep.judgement.verdict)
        # and nothing while one of them is missing.
        arrived.popitem()
        assert race_of(manifest, arrived, terms).next_round is None
    assert (
        race_of(whole.race.sweep.manifest, dict(rows), terms).sweep.judgement.verdict
        == whole.race.sweep.judgement.verdict
    )


@pytest.mark.parametrize(("seeds", "first"), [(1, 5), (5, 5), (6, 6), (8, 8)])
def test_the_first_look_is_at_the_first_number_of_seeds_that_is_enough(seeds: int, first: int) -> None:
    raced = run(CLEAR, manifest=sweep(seeds))
    assert raced.seeds == {key: list(range(first)) for key in RATES}


def test_configurations_with_fewer_seeds_catch_up_with_the_seeds_of_the_others() -> None:
    # Given a sweep of which one configuration has been confirmed on fresh seeds
    fresh = Round(kind="confirm", seeds=(100, 101, 102), configurations=({"learning_rate": 0.03},))
    manifest = sweep(3).with_round(fresh, Look(command="confirm", seeds=3, rows=9))
    # Then the first look compares all under the same seeds: those of the sweep, in its order.
    raced = run(CLEAR, manifest=manifest)
    assert raced.seeds == {**{key: [0, 1, 2, 100, 101] for key in (0.01, 0.02)}, 0.03: [0, 1, 2, 100, 101, 102]}
    assert raced.race.spent == 4


def test_further_seeds_are_those_after_the_largest_and_wrap_around() -> None:
    raced = run(CLEAR, manifest=manifest_of(sweep_of(seeds=(2**32 - 1, 1), learning_rates=RATES, epochs=2)))
    assert raced.seeds[0.03] == [2**32 - 1, 1, 0, 2, 3]
