"""When a race looks, what each look may spend, and how it ends: `orchestrator/analysis/statistics/race.py`."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from orchestrator.analysis.statistics.race import Race, Rules, look, plan, spent, start

#: Any two of these differ by at least 0.03, with a standard deviation of 0.001 over seeds.
APART = (0.90, 0.93, 0.96)


def scores(means: tuple[float, ...], seeds: int, sd: float = 0.001) -> list[dict[int, float]]:
    draw = np.random.default_rng(1)
    return [dict(enumerate(draw.normal(mean, sd, seeds))) for mean in means]


def run(rules: Rules, means: tuple[float, ...], sd: float = 0.001) -> Race:
    every = scores(means, rules.looks[-1], sd)
    race = start(rules)
    while (n := race.next_look) is not None:
        race = look(race, [{seed: each[seed] for seed in range(n)} for each in every])
    return race


@pytest.mark.parametrize(
    ("present", "first"), [((0, 0), 5), ((5, 5), 5), ((5, 40), 5), ((6, 6), 10), ((12, 25), 20), ((20, 20), 20)]
)
def test_the_first_look_is_the_first_that_no_configuration_needs_to_be_cut_for(
    present: tuple[int, int], first: int
) -> None:
    looks = plan(present, 1000).looks
    assert looks[0] == first
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(looks))


def test_the_looks_do_not_depend_on_the_budget() -> None:
    small, large = plan((5, 5, 5), 10).looks, plan((5, 5, 5), 10_000).looks
    assert large[: len(small)] == small


def test_the_looks_spend_alpha_and_no_more() -> None:
    rules = plan((5, 5, 5), 10)
    assert 2 * sum(spent(rules, number) for number in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)
    assert 2 * sum(spent(rules, number) for number in range(1, 100_000)) < 0.05


def test_what_was_seen_before_a_race_counts_as_looks() -> None:
    before, after = plan((5, 5), 10), plan((5, 5), 10, seen=2)
    assert spent(after, 1) == spent(before, 3) == pytest.approx(0.05 * 6 / (9 * math.pi**2))


def test_a_race_of_configurations_that_differ_ends_separated_at_its_first_look() -> None:
    race = run(plan((5, 5, 5), 100), APART)
    assert (race.ended, race.leader, race.active, race.jobs) == ("separated", 2, (2,), 0)
    assert [(drop.configuration, drop.by, drop.seeds) for drop in race.drops] == [(0, 2, 5), (1, 2, 5)]
    assert race.next_jobs == 0


def test_a_race_whose_budget_lacks_a_job_for_the_first_look_ends_before_it() -> None:
    assert start(plan((0, 3), 7)).next_look == 5
    race = start(plan((0, 3), 6))
    assert (race.ended, race.leader, race.next_jobs) == ("budget", None, 7)


def test_a_race_of_equals_ends_with_its_budget_and_says_what_the_next_look_needs() -> None:
    race = run(plan((0, 0), 40), (0.9, 0.9), 0.01)
    # 10 jobs, 10 more, 20 more; then 40 more would be needed.
    assert (race.ended, race.active, race.jobs, race.looks, race.next_jobs) == ("budget", (0, 1), 40, 3, 40)


def test_a_larger_budget_goes_on_with_the_same_race() -> None:
    small, large = (run(plan((0, 0), budget), (0.9, 0.9005)) for budget in (40, 2000))
    assert small.ended == "budget"
    assert large.ended == "separated"
    assert large.drops[: len(small.drops)] == small.drops


def test_a_race_of_equals_ends_within_a_tolerance() -> None:
    race = run(plan((0, 0), 1000, 0.002), (0.9, 0.9))
    assert (race.ended, race.active) == ("within", (0, 1))
