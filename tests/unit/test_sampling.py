"""Samplers: random search and Optuna's, without a sweep."""

import math
import random
import statistics
from typing import Any
from unittest.mock import patch

import pytest

from orchestrator.running.growth import first_batch
from orchestrator.sweeps import samplers
from orchestrator.sweeps.axes import Range, RefusedError
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.samplers import Dimension, Trial, ask, draw
from tests.support.sweeps import manifest_of, sweep_of


def space(**values: tuple[Any, ...]) -> dict[str, Dimension]:
    return {name: Dimension(each, integers=name == "epochs") for name, each in values.items()}


SPACE = space(
    learning_rate=(Range.parse("log:0.001..0.3"),),
    epochs=(Range.parse("linear:1..20"),),
    hidden_layer_sizes=((128, 64), (256, 64)),
)


def counting(kind: type) -> Any:
    """Count the calls of a class's method `at`."""
    return patch.object(kind, "at", autospec=True, side_effect=kind.at)  # type: ignore[attr-defined]


class _Counted(int):
    """A value that counts how often one is compared."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        _Counted.comparisons += 1
        return int(self) == other

    __hash__ = int.__hash__


def test_a_manifest_of_many_values_and_many_configurations_is_not_compared_each_with_each() -> None:
    # 10,000 configurations and 300,000 values fit into a manifest that somebody else registered
    known = Dimension(tuple(map(_Counted, range(1000))), integers=True)
    _Counted.comparisons = 0
    assert [value for value in (0, 500, 999, 1000) if value in known] == [0, 500, 999]
    assert _Counted.comparisons < 100


class TestRandomSearch:
    def test_a_number_that_was_found_is_not_worked_out_again(self) -> None:
        narrow, refusal = Range.parse("log:0.1..0.100005"), "at most 216, the number of configurations that draws give"
        # Ranges of few numbers are refused after few draws, and few logarithms.
        with counting(Range) as at, pytest.raises(RefusedError, match=f"^{refusal}$"):
            draw(space(a=(narrow,), b=(narrow,), c=(narrow,)), 10_000, 0)
        assert at.call_count < 2000
        shares = [random.Random(1).random() for _ in range(500)]
        dimension = Dimension((narrow,), integers=False)
        assert [dimension.at(share) for share in shares] == [narrow.at(share) for share in shares]

    def test_the_same_seed_draws_the_same_configurations(self) -> None:
        first = draw(SPACE, 30, 7)
        assert draw(SPACE, 30, 7) == first
        assert draw(SPACE, 30, 8) != first
        # More samples begin with the same.
        assert draw(SPACE, 10, 7) == first[:10]

    def test_a_configuration_takes_one_number_of_the_stream_per_option(self) -> None:
        stream = random.Random(7)
        rate, epochs, width = (stream.random() for _ in range(3))
        (point,) = draw(SPACE, 1, 7)
        assert math.isclose(point["learning_rate"], 0.001 * (0.3 / 0.001) ** rate, rel_tol=1e-5)
        assert abs(point["epochs"] - (0.5 + 20 * epochs)) <= 0.5
        assert point["hidden_layer_sizes"] == [(128, 64), (256, 64)][int(2 * width)]

    def test_numbers_are_spread_by_the_kind_of_their_range(self) -> None:
        drawn = draw(SPACE, 2000, 0)
        logarithms = [math.log(point["learning_rate"]) for point in drawn]
        low, high = math.log(0.001), math.log(0.3)
        # The mean of 2,000 uniform numbers deviates by more than five standard errors once in a million seeds.
        error = (high - low) / math.sqrt(12 * 2000)
        assert abs(statistics.fmean(logarithms) - (low + high) / 2) < 5 * error
        counts = [sum(point["epochs"] == epochs for point in drawn) for epochs in range(1, 21)]
        assert all(abs(count - 100) < 5 * math.sqrt(2000 * 0.05 * 0.95) for count in counts)

    def test_all_configurations_are_found_once_and_more_than_there_are_is_refused(self) -> None:
        drawn = draw(space(a=(1, 2, 3), b=(True, False)), 6, 0)
        assert len({tuple(point.values()) for point in drawn}) == 6
        with pytest.raises(RefusedError, match="at most 6, the number of configurations"):
            draw(space(a=(1, 2, 3), b=(True, False)), 7, 0)
        with pytest.raises(RefusedError, match="at most 3,"):
            draw(space(epochs=(Range.parse("log:1..3"),)), 4, 0)


def worth(point: dict[str, Any]) -> float:
    return -abs(math.log(point["learning_rate"] / 0.03)) - (point["hidden_layer_sizes"] == (128, 64))


def search(seed: int, count: int, batch: int) -> list[Trial]:
    trials: list[Trial] = []
    while len(trials) < count:
        asked = ask(SPACE, trials, batch, seed)
        trials += [(point, worth(point)) for point in asked]
    return trials


class TestOptunaSearch:
    def test_a_search_that_goes_on_asks_what_it_would_have_asked(self) -> None:
        whole = search(7, 16, 2)
        # Nothing is left of the study that asked for these but the configurations and their values.
        asked = ask(SPACE, whole[:14], 2, 7)
        assert list(asked) == [point for point, _ in whole[14:]]
        assert search(8, 16, 2) != whole

    def test_values_are_of_the_options_types_and_in_their_ranges(self) -> None:
        for point, _ in search(0, 20, 4):
            assert list(point) == list(SPACE)
            assert isinstance(point["learning_rate"], float)
            assert 0.001 <= point["learning_rate"] <= 0.3
            assert point["learning_rate"] == float(f"{point['learning_rate']:.6g}")
            assert type(point["epochs"]) is int
            assert 1 <= point["epochs"] <= 20
            assert point["hidden_layer_sizes"] in SPACE["hidden_layer_sizes"]

    def test_it_searches_where_values_are_high(self) -> None:
        trials = search(0, 60, 4)
        assert statistics.fmean(worth(point) for point, _ in trials[40:]) > statistics.fmean(
            worth(point) for point, _ in trials[:20]
        )

    def test_a_configuration_without_a_value_is_not_taken_for_a_good_or_bad_one(self) -> None:
        trials = search(0, 12, 4)
        best = max(trials, key=lambda trial: worth(trial[0]))
        failed = [(trial[0], None) if trial is best else trial for trial in trials]
        assert ask(SPACE, failed, 8, 0) != ask(SPACE, trials, 8, 0)
        assert ask(SPACE, [(point, None) for point, _ in trials], 1, 0)


def test_draws_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "_TRIES", 1)
    # Where one number comes up 20 times as often as another, one that is left is rarely drawn.
    space = {name: Dimension((Range.parse("log:1..10"),), integers=True) for name in ("a", "b")}
    with counting(Dimension) as at, pytest.raises(RefusedError, match="the number of configurations that draws give"):
        draw(space, 100, 0)
    assert at.call_count <= 2 * 110


def test_a_batch_for_very_many_processes_can_be_read_again() -> None:
    optuna = sweep_of(sampler="optuna", samples=3, learning_rates="log:0.1..1", seeds=(0,))
    batch = first_batch(manifest_of(optuna), 10**6)
    assert Manifest.read(batch.as_text().encode()).specification == batch.specification
