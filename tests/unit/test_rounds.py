"""The growth of a sweep's manifest beyond its first specification."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from orchestrator.sweeps import manifest as manifest_module
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.rounds import MAX_ROUNDS, Look, Round
from tests.support.sweeps import sweep_of

BASE: dict[str, Any] = {"seeds": (0, 1), "learning_rates": (0.1, 0.2), "epochs": 1}


def manifest_of(**words: Any) -> Manifest:
    made = sweep_of(**{**BASE, **words})
    jobs = list(made.jobs_by_key(MNIST_DIGEST))
    return Manifest(name="a", specification=made, dataset=MNIST_DIGEST, jobs=jobs, provenance=provenance())


def names(manifest: Manifest) -> list[tuple[int, float, int]]:
    jobs = [job.options.model_dump() | {"seed": job.seed} for job in manifest.jobs_by_key().values()]
    return [(job["seed"], job["learning_rate"], job["epochs"]) for job in jobs]


def read_again(manifest: Manifest) -> Manifest:
    return Manifest.read(manifest.as_text().encode())


def test_further_seeds_come_after_the_jobs_that_the_sweep_has() -> None:
    first = manifest_of()
    longer = first.with_round(Round(kind="extend", seeds=(7, 5)))
    assert longer.jobs[: len(first.jobs)] == first.jobs
    assert names(longer)[4:] == [(7, 0.1, 1), (7, 0.2, 1), (5, 0.1, 1), (5, 0.2, 1)]
    assert longer.grown.seeds == (0, 1, 7, 5)
    assert longer.specification == first.specification


def test_further_values_are_trained_under_all_seeds() -> None:
    longer = manifest_of().with_round(Round(kind="extend", seeds=(2,)))
    longer = longer.with_round(Round(kind="extend", grid={"learning_rate": (0.3,)}))
    assert names(longer)[6:] == [(0, 0.3, 1), (1, 0.3, 1), (2, 0.3, 1)]


def test_seeds_and_values_at_once_complete_the_grid() -> None:
    longer = manifest_of().with_round(Round(kind="extend", seeds=(2,), grid={"learning_rate": (0.3,)}))
    assert names(longer)[4:] == [(0, 0.3, 1), (1, 0.3, 1), (2, 0.1, 1), (2, 0.2, 1), (2, 0.3, 1)]
    whole = sweep_of(**{**BASE, "seeds": (0, 1, 2), "learning_rates": (0.1, 0.2, 0.3)})
    assert set(longer.jobs) == set(whole.jobs_by_key(MNIST_DIGEST))


def test_an_option_that_was_fixed_varies_once_it_has_a_further_value() -> None:
    longer = manifest_of().with_round(Round(kind="extend", grid={"epochs": (3,)}))
    assert names(longer)[4:] == [(0, 0.1, 3), (0, 0.2, 3), (1, 0.1, 3), (1, 0.2, 3)]
    assert longer.axes == ("learning_rate", "epochs")
    assert longer.specification.axes == ("learning_rate",)


def test_some_configurations_get_further_seeds() -> None:
    longer = manifest_of().with_round(Round(kind="confirm", seeds=(5, 6), configurations=({"learning_rate": 0.2},)))
    assert names(longer)[4:] == [(5, 0.2, 1), (6, 0.2, 1)]
    assert longer.grown == longer.specification


def test_a_job_of_two_rounds_is_one_job() -> None:
    longer = manifest_of().with_round(Round(kind="confirm", seeds=(5,), configurations=({"learning_rate": 0.2},)))
    longer = longer.with_round(Round(kind="extend", seeds=(5,)))
    assert names(longer)[4:] == [(5, 0.2, 1), (5, 0.1, 1)]


def test_what_a_sampler_drew_gets_further_seeds() -> None:
    first = manifest_of(learning_rates="log:0.01..0.1", sampler="random", samples=3)
    longer = first.with_round(Round(kind="extend", seeds=(2,)))
    assert [seed for seed, *_ in names(longer)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    point = first.specification.drawn[1]
    again = longer.with_round(Round(kind="decide", seeds=(3,), configurations=(point,)))
    assert names(again)[9:] == [(3, point["learning_rate"], 1)]


@pytest.mark.parametrize(
    "rounds",
    [
        [Round(kind="extend", seeds=(2,))],
        [Round(kind="extend", grid={"epochs": (2,), "hidden_layer_sizes": ((8, 4),)})],
        [
            Round(kind="extend", grid={"hidden_layer_sizes": ((8, 4),)}),
            Round(
                kind="decide",
                seeds=(9,),
                configurations=({"learning_rate": 0.1, "hidden_layer_sizes": (8, 4)},),
            ),
        ],
    ],
)
def test_a_grown_manifest_is_the_same_when_it_is_read_again(rounds: list[Round]) -> None:
    longer = manifest_of()
    for each in rounds:
        longer = longer.with_round(each, Look(command=each.kind, seeds=2, rows=4))
    again = read_again(longer)
    assert again == longer
    assert list(again.jobs_by_key()) == longer.jobs
    assert [look.rows for look in again.looks] == [4] * len(rounds)


def test_the_file_of_a_sweep_without_rounds_has_none() -> None:
    content = json.loads(manifest_of().as_text())
    assert not content.keys() & {"rounds", "looks"}
    assert read_again(manifest_of()).rounds == []


def test_a_longer_manifest_goes_on_with_the_shorter_one_only() -> None:
    first = manifest_of()
    longer = first.with_round(Round(kind="extend", seeds=(2,)), Look(command="extend", seeds=2, rows=4))
    other = first.with_round(Round(kind="extend", seeds=(3,)))
    assert longer.goes_on(first)
    assert longer.goes_on(longer)
    assert not first.goes_on(longer)
    assert not other.goes_on(longer)
    assert first.grown_as(longer) == longer


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kind": "extend"}, "seeds or values"),
        ({"kind": "extend", "seeds": [1]}, "a seed already"),
        ({"kind": "extend", "seeds": [2, 2]}, "more than once"),
        ({"kind": "extend", "seeds": [-1]}, "greater than or equal to 0"),
        ({"kind": "look", "seeds": [2]}, "extend"),
        ({"kind": "extend", "grid": {"learning_rate": [0.1]}}, "more than once"),
        ({"kind": "extend", "grid": {"learning_rate": [-1]}}, "invalid learning_rate"),
        ({"kind": "extend", "grid": {"learning_rate": ["log:0.1..0.2"]}}, "invalid learning_rate"),
        ({"kind": "extend", "grid": {"speed": [1]}}, "not an option"),
        ({"kind": "confirm", "configurations": [{"learning_rate": 0.1}]}, "seeds or values"),
        (
            {"kind": "confirm", "seeds": [2], "configurations": [{"learning_rate": 0.3}]},
            "does not have a configuration",
        ),
        ({"kind": "confirm", "seeds": [2], "configurations": [{"epochs": 1}]}, "other options"),
        ({"kind": "confirm", "seeds": [2], "configurations": [{"learning_rate": []}]}, "invalid learning_rate"),
        ({"kind": "extend", "seeds": list(range(2, 60_000))}, "jobs"),
    ],
)
def test_an_impossible_round_is_refused(wrong: dict[str, Any], why: str) -> None:
    content = json.loads(manifest_of().as_text())
    content["rounds"] = [wrong]
    with pytest.raises(ValidationError, match=why):
        Manifest.read(json.dumps(content).encode())


def test_a_search_that_has_not_ended_has_no_rounds() -> None:
    first = manifest_of(learning_rates="log:0.01..0.1", sampler="optuna", samples=3)
    content = json.loads(first.with_drawn([{"learning_rate": 0.05}]).as_text())
    content["rounds"] = [{"kind": "extend", "seeds": [2]}]
    with pytest.raises(ValidationError, match="before its sampler has chosen"):
        Manifest.read(json.dumps(content).encode())


def test_a_round_without_a_new_job_is_refused() -> None:
    point = {"learning_rate": 0.2}
    with pytest.raises(InvalidInputError, match="a job that the sweep lacks"):
        manifest_of().with_round(Round(kind="confirm", seeds=(0, 1), configurations=(point,)))


def test_a_sweep_cannot_grow_beyond_the_most_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "MAX_JOBS", 6)
    longer = manifest_of().with_round(Round(kind="extend", seeds=(2,)))
    assert len(longer.jobs) == 6
    for seeds in ((3,), tuple(range(3, 3000))):
        with pytest.raises(InvalidInputError, match="more than 6 jobs"):
            longer.with_round(Round(kind="extend", seeds=seeds))


def test_a_sweep_has_a_bounded_number_of_rounds() -> None:
    longer = manifest_of(learning_rates=(0.1,), seeds=(0,))
    for seed in range(MAX_ROUNDS):
        longer = longer.with_round(Round(kind="extend", seeds=(seed + 1,)))
    with pytest.raises(InvalidInputError, match="at most 100"):
        longer.with_round(Round(kind="extend", seeds=(200,)))
    assert read_again(longer) == longer
