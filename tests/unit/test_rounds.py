"""The growth of a sweep's manifest beyond its first specification."""

import json
from functools import reduce
from typing import Any

import pytest
from pydantic import ValidationError

from nn.errors import InvalidInputError
from orchestrator.sweeps import manifest as manifest_module
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Look, Round
from tests.support.sweeps import manifest_of, sweep_of

BASE: dict[str, Any] = {"seeds": (0, 1), "learning_rates": (0.1, 0.2), "epochs": 1}


def sweep(**words: Any) -> Manifest:
    return manifest_of(sweep_of(**{**BASE, **words}))


def names(manifest: Manifest) -> list[tuple[int, float, int]]:
    jobs = [job.options.model_dump() | {"seed": job.seed} for job in manifest.jobs_by_key().values()]
    return [(job["seed"], job["learning_rate"], job["epochs"]) for job in jobs]


def read_again(manifest: Manifest) -> Manifest:
    return Manifest.read(manifest.as_text().encode())


POINT = {"learning_rate": 0.2}
#: The rounds of a sweep, and the jobs that they add: seed, learning rate and epochs.
GROWTH: dict[str, tuple[list[Round], list[tuple[int, float, int]]]] = {
    "further seeds": ([Round(kind="extend", seeds=(7, 5))], [(7, 0.1, 1), (7, 0.2, 1), (5, 0.1, 1), (5, 0.2, 1)]),
    "further values under all seeds": (
        [Round(kind="extend", seeds=(2,)), Round(kind="extend", grid={"learning_rate": (0.3,)})],
        [(2, 0.1, 1), (2, 0.2, 1), (0, 0.3, 1), (1, 0.3, 1), (2, 0.3, 1)],
    ),
    "seeds and values at once": (
        [Round(kind="extend", seeds=(2,), grid={"learning_rate": (0.3,)})],
        [(0, 0.3, 1), (1, 0.3, 1), (2, 0.1, 1), (2, 0.2, 1), (2, 0.3, 1)],
    ),
    "a value of an option that was fixed": (
        [Round(kind="extend", grid={"epochs": (3,)})],
        [(0, 0.1, 3), (0, 0.2, 3), (1, 0.1, 3), (1, 0.2, 3)],
    ),
    "seeds for some configurations": (
        [Round(kind="confirm", seeds=(5, 6), configurations=(POINT,))],
        [(5, 0.2, 1), (6, 0.2, 1)],
    ),
    "a job of two rounds is one job": (
        [Round(kind="confirm", seeds=(5,), configurations=(POINT,)), Round(kind="extend", seeds=(5,))],
        [(5, 0.2, 1), (5, 0.1, 1)],
    ),
}


@pytest.mark.parametrize("case", GROWTH)
def test_rounds_add_jobs_after_those_that_the_sweep_has(case: str) -> None:
    rounds, added = GROWTH[case]
    first = sweep()
    longer = first
    for each in rounds:
        longer = longer.with_round(each)
    assert longer.jobs[: len(first.jobs)] == first.jobs
    assert names(longer)[len(first.jobs) :] == added
    # The specification stays; with the seeds and values that all configurations have got, it is that of a sweep that
    # had them from the beginning.
    assert longer.specification == first.specification
    general = [each for each in rounds if not each.configurations]
    words = {"seeds": (*BASE["seeds"], *(seed for each in general for seed in each.seeds))}
    for name, word in (("learning_rate", "learning_rates"), ("epochs", "epochs")):
        values = [value for each in general for value in each.grid.get(name, ())]
        words |= {word: (*first.specification.values(name), *values)}
    assert longer.grown == sweep_of(**words)
    assert longer.axes == tuple(longer.grown.grid)


def test_what_a_sampler_drew_gets_further_seeds() -> None:
    first = sweep(learning_rates="log:0.01..0.1", sampler="random", samples=3)
    longer = first.with_round(Round(kind="extend", seeds=(2,)))
    assert [seed for seed, *_ in names(longer)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    point = first.specification.drawn[1]
    again = longer.with_round(Round(kind="decide", seeds=(3,), configurations=(point,)))
    assert names(again)[9:] == [(3, point["learning_rate"], 1)]


def test_the_file_of_a_sweep_without_rounds_has_none() -> None:
    content = json.loads(sweep().as_text())
    assert not content.keys() & {"rounds", "withdrawn", "looks"}
    assert read_again(sweep()).rounds == []


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
        ({"kind": "confirm", "seeds": [2], "configurations": [{"learning_rate": 0.1}] * 2}, "more than once"),
        ({"kind": "confirm", "seeds": [2], "configurations": [{"learning_rate": 0.3}]}, "not have a configuration"),
        ({"kind": "confirm", "seeds": [2], "configurations": [{"epochs": 1}]}, "other options"),
        ({"kind": "confirm", "seeds": [2], "configurations": [{"learning_rate": []}]}, "invalid learning_rate"),
        ({"kind": "extend", "seeds": list(range(2, 60_000))}, "jobs"),
    ],
)
def test_an_impossible_round_is_refused(wrong: dict[str, Any], why: str) -> None:
    content = json.loads(sweep().as_text())
    content["rounds"] = [wrong]
    with pytest.raises(ValidationError, match=why):
        Manifest.read(json.dumps(content).encode())


def test_a_round_before_a_search_has_ended_or_without_a_new_job_is_refused() -> None:
    search = sweep(learning_rates="log:0.01..0.1", sampler="optuna", samples=3)
    content = json.loads(search.with_drawn([{"learning_rate": 0.05}]).as_text())
    content["rounds"] = [{"kind": "extend", "seeds": [2]}]
    with pytest.raises(ValidationError, match="before its sampler has chosen"):
        Manifest.read(json.dumps(content).encode())
    with pytest.raises(InvalidInputError, match="a job that the sweep lacks"):
        sweep().with_round(Round(kind="confirm", seeds=(0, 1), configurations=(POINT,)))


def test_a_sweep_cannot_grow_beyond_the_most_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "MAX_JOBS", 6)
    longer = sweep().with_round(Round(kind="extend", seeds=(2,)))
    assert len(longer.jobs) == 6
    for seeds in ((3,), tuple(range(3, 3000))):
        for each in (longer, longer.undone()):
            with pytest.raises(InvalidInputError, match="more than 6 jobs"):
                each.with_round(Round(kind="extend", seeds=seeds))


def test_rounds_that_list_too_many_combinations_are_refused() -> None:
    grid = {"epochs": tuple(range(1, 8001)), "initial_scale": (1.0, 2.0)}
    wide = sweep_of(seeds=(0,), learning_rates=(0.1,), **grid, beside=("initial_scale@epochs=1",))
    content = json.loads(manifest_of(wide).as_text())
    point = {"epochs": 1, "initial_scale": 2.0}
    content["rounds"] = [{"kind": "confirm", "seeds": [seed], "configurations": [point]} for seed in range(1, 71)]
    with pytest.raises(ValidationError, match="its rounds list more than 264,008 combinations in all"):
        Manifest.read(json.dumps(content).encode())
    # Where invalid ones are left out, fewer are allowed. Rounds of some configurations list none.
    content["specification"] |= {"beside": [], "skip_invalid": True}
    assert len(Manifest.read(json.dumps(content).encode()).rounds) == 70
    content["rounds"] = [{"kind": "extend", "seeds": [seed]} for seed in range(1, 5)]
    with pytest.raises(ValidationError, match="its rounds list more than 264,008 combinations in all"):
        Manifest.read(json.dumps(content).encode())


def test_no_round_is_added_that_could_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    conditional = sweep(initial_scale=(1.0, 2.0), beside=("initial_scale@learning_rate=0.1",))
    monkeypatch.setattr(manifest_module, "_LISTED", 7)
    monkeypatch.setattr(manifest_module, "_JOB_LISTED", 0)
    longer = conditional.with_round(Round(kind="extend", seeds=(2,)))
    with pytest.raises(InvalidInputError, match="allowed: fewer rounds, because its rounds list more than 7 "):
        longer.with_round(Round(kind="extend", seeds=(3,)))


def test_a_sweep_has_a_bounded_number_of_rounds() -> None:
    # Given a sweep of the most rounds
    content = json.loads(sweep(learning_rates=(0.1,), seeds=(0,)).as_text())
    content["rounds"] = [{"kind": "extend", "seeds": [seed + 1]} for seed in range(100)]
    longest = Manifest.read(json.dumps(content).encode())
    # Then it gets no further one, and a file with one more is refused.
    with pytest.raises(InvalidInputError, match="at most 100"):
        longest.with_round(Round(kind="extend", seeds=(200,)))
    content["rounds"].append({"kind": "extend", "seeds": [200]})
    with pytest.raises(ValidationError, match="at most 100"):
        Manifest.read(json.dumps(content).encode())
    # Looks without a round are bounded, too: the newest count.
    looks = [Look(command="resume", seeds=1, rows=rows) for rows in range(1, 103)]
    assert read_again(reduce(Manifest.with_look, looks, longest)).looks == looks[2:]
