"""A race by scores: when it looks, what a look may spend, who drops out, how it ends."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from orchestrator.analysis.statistics.pairs import as_array, lower_bounds
from orchestrator.analysis.statistics.race import Race, look, plan, spent, start
from tests.support.known import known


def scores(values: np.ndarray, n: int) -> list[dict[int, float]]:
    return [dict(enumerate(row[:n])) for row in values.tolist()]


def simulated(seed: int, means: list[float], n: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).normal(np.array(means)[:, None], 1, (len(means), n))


def finished(race: Race, values: np.ndarray) -> Race:
    while race.next_look is not None:
        race = look(race, scores(values, race.next_look))
    return race


class TestPlan:
    @pytest.mark.parametrize(
        ("present", "first"), [((0, 0), 5), ((5, 5), 5), ((5, 40), 5), ((6, 6), 10), ((12, 25), 20), ((20, 20), 20)]
    )
    def test_the_first_look_is_the_first_that_no_configuration_needs_to_be_cut_for(
        self, present: tuple[int, int], first: int
    ) -> None:
        looks = plan(present, 1000).looks
        assert looks[0] == first
        assert all(later == 2 * earlier for earlier, later in itertools.pairwise(looks))

    def test_the_looks_do_not_depend_on_the_budget(self) -> None:
        small, large = plan((5, 5, 5), 10).looks, plan((5, 5, 5), 10_000).looks
        assert large[: len(small)] == small

    def test_the_looks_spend_alpha_and_no_more_and_those_before_the_race_count(self) -> None:
        rules = plan((5, 5, 5), 10)
        assert 0.05 * (1 - 1e-4) < 2 * sum(spent(rules, number) for number in range(1, 100_000)) < 0.05
        before, after = plan((5, 5), 10), plan((5, 5), 10, seen=2)
        assert spent(after, 1) == spent(before, 3) == pytest.approx(0.05 * 6 / (9 * math.pi**2))

    def test_one_configuration_has_won(self) -> None:
        race = start(plan([5], 100))
        assert (race.ended, race.leader, race.next_look, race.next_jobs) == ("separated", 0, None, 0)

    def test_the_first_look_needs_what_is_missing_and_a_budget_that_lacks_a_job_of_it_ends_the_race(self) -> None:
        race = start(plan([5, 3, 0], 7))
        assert (race.ended, race.next_look, race.next_jobs) == (None, 5, 2 + 5)
        race = start(plan([5, 3, 0], 6))
        assert (race.ended, race.leader, race.next_look, race.next_jobs) == ("budget", None, None, 7)


class TestLook:
    def test_what_is_clearly_worse_drops_out_and_its_jobs_are_saved(self) -> None:
        race = start(plan([5] * 3, 90))
        race = look(race, scores(simulated(0, [0, 20, 0]), 5))
        assert (race.ended, race.leader, race.active, race.jobs, race.next_jobs) == ("separated", 1, (1,), 0, 0)

    def test_a_drop_is_decided_by_the_bound_of_the_look(self) -> None:
        values = simulated(1, [0, 0.5, 1, 2, 3])
        race = start(plan([0] * 5, 500))
        for number in range(1, 5):
            n, active = known(race.next_look), np.array(race.active)
            bounds = lower_bounds(as_array(scores(values[active], n)), 6 * 0.05 / (math.pi * number) ** 2 / 4)
            race = look(race, scores(values, n))
            assert race.active == tuple(active[~(bounds > 0).any(axis=0)])
        assert 1 <= len(race.active) < 5

    def test_scores_of_what_dropped_out_have_no_effect(self) -> None:
        values = simulated(2, [-50, 0, 0.2])
        race = look(start(plan([0] * 3, 300)), scores(values, 5))
        assert race.active == (1, 2)
        values[0] = 1000
        assert look(race, scores(values, 10)).active == (1, 2)

    def test_within_a_tolerance_it_ends_early_with_the_higher_mean(self) -> None:
        values = simulated(3, [0, 0.01], 400)
        race = finished(start(plan([0] * 2, 800, tolerance=1.0)), values)
        assert race.ended == "within"
        n = race.rules.looks[race.looks - 1]
        assert race.leader == values[:, :n].mean(axis=1).argmax()
        assert race.jobs == 2 * n < 800
        bounds = lower_bounds(as_array(scores(values, n)), spent(race.rules, race.looks))
        assert bounds[race.leader, 1 - race.leader] > -1

    def test_the_leader_is_one_that_is_proven_within_the_tolerance(self) -> None:
        # The wide one has the highest mean, but how good it is is not known.
        values = simulated(4, [0, 0, 0.2], 400)
        values[2] = 1.0 + 40 * (values[2] - 0.2)
        race = finished(start(plan([0] * 3, 1200, tolerance=30.0)), values)
        assert race.ended == "within"
        bounds = lower_bounds(as_array(scores(values, race.rules.looks[race.looks - 1])), spent(race.rules, race.looks))
        assert (np.delete(bounds[race.leader], race.leader) > -30).all()

    def test_a_race_that_has_ended_takes_no_look(self) -> None:
        with pytest.raises(ValueError, match="has ended"):
            look(start(plan([5], 100)), [{0: 1.0}])

    def test_failed_seeds_and_whole_configurations_without_scores_are_kept(self) -> None:
        values = scores(simulated(5, [0, 0, 0]), 5)
        values[1] = {}
        del values[0][3]
        race = look(start(plan([0] * 3, 100)), values)
        assert (race.active, race.leader in (0, 2)) == ((0, 1, 2), True)

    def test_equal_scores_tie_until_the_budget_ends_and_are_within_any_tolerance(self) -> None:
        equal = np.full((2, 400), 0.5)
        race = finished(start(plan([0] * 2, 40)), equal)
        assert (race.ended, race.active, race.leader) == ("budget", (0, 1), 0)
        # 10 jobs, 10 more, 20 more; then 40 more would be needed.
        assert (race.jobs, race.looks, race.next_jobs) == (40, 3, 40)
        race = finished(start(plan([0] * 2, 40, tolerance=1e-6)), equal)
        assert (race.ended, race.jobs) == ("within", 10)

    @pytest.mark.parametrize("seed", range(30))
    def test_it_never_exceeds_the_budget_and_ends_for_a_reason(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        k, budget = int(rng.integers(2, 8)), int(rng.integers(0, 300))
        present = rng.integers(0, 15, k).tolist()
        values = simulated(seed, rng.normal(0, 1, k).tolist(), 400)
        tolerance = float(rng.choice([0, 0.5]))
        race, n, left = start(plan(present, budget, tolerance)), min(present), {}
        while race.next_look is not None:
            n, before = race.next_look, race.active
            race = look(race, scores(values, n))
            left |= dict.fromkeys(set(before) - set(race.active), n)
        assert race.jobs <= budget
        assert race.jobs == sum(max(0, left.get(i, n) - present[i]) for i in range(k))
        assert sorted([*race.active, *left]) == list(range(k))
        assert (race.ended == "separated") == (len(race.active) == 1)
        if race.ended == "budget" and race.looks < len(race.rules.looks):
            following = race.rules.looks[race.looks]
            assert race.jobs + sum(max(0, following - max(n, present[i])) for i in race.active) > budget

    def test_configurations_in_another_order_have_the_same_race(self) -> None:
        values = simulated(8, [0, 0.3, 0.6, 2])
        race, turned = (finished(start(plan([0] * 4, 300)), each) for each in (values, values[::-1]))
        assert (race.ended, race.jobs) == (turned.ended, turned.jobs)
        assert race.active == tuple(3 - i for i in reversed(turned.active))
