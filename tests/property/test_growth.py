"""A manifest grows by any rounds, and may come from any file: its jobs are always the same, each once, in one order."""

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Look, Round, Withdrawn
from tests.property.hostile import answer, json_values, patient
from tests.support.sweeps import manifest_of, sweep_of

BASE = sweep_of(seeds=(0, 1), learning_rates=(0.1, 0.2), epochs=1)
FIRST = manifest_of(BASE)

seeds = st.lists(st.integers(0, 6), max_size=3, unique=True).map(tuple)
rates = st.sampled_from([0.1, 0.2, 0.3, 0.4])
grids = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.lists(rates, min_size=1, max_size=2, unique=True).map(tuple),
        "epochs": st.lists(st.integers(1, 3), min_size=1, max_size=2, unique=True).map(tuple),
        "hidden_layer_sizes": st.just(((8, 4),)),
    },
)
points = st.lists(
    st.fixed_dictionaries(
        {"learning_rate": rates}, optional={"epochs": st.integers(1, 3), "hidden_layer_sizes": st.just((8, 4))}
    ),
    max_size=2,
).map(tuple)
rounds = st.fixed_dictionaries(
    {"kind": st.sampled_from(["extend", "confirm", "decide"])},
    optional={"seeds": seeds, "grid": grids, "configurations": points},
)


@patient
@given(st.lists(rounds, max_size=4), st.integers(0, 15))
@example(
    [
        {"kind": "extend", "grid": {"epochs": (2,), "hidden_layer_sizes": ((8, 4),)}},
        {
            "kind": "decide",
            "seeds": (9,),
            "configurations": ({"learning_rate": 0.1, "epochs": 2, "hidden_layer_sizes": (8, 4)},),
        },
    ],
    0,
)
@example([{"kind": "extend", "seeds": (2,)}, {"kind": "extend", "seeds": (2,)}, {"kind": "extend", "seeds": (3,)}], 5)
def test_whatever_is_added_the_jobs_before_stay(added: list[dict[str, Any]], undoing: int) -> None:
    steps = [FIRST]
    for number, fields in enumerate(added):
        manifest = steps[-1]
        try:
            further = Round.model_validate(fields)
            longer = manifest.with_round(further, Look(command=further.kind, seeds=1, rows=1))
        except (ValueError, InvalidInputError):
            continue
        # Every job has its key once, in an order that begins as it was.
        assert longer.jobs[: len(manifest.jobs)] == manifest.jobs
        assert len(set(longer.jobs)) == len(longer.jobs) > len(manifest.jobs)
        assert list(longer.jobs_by_key()) == longer.jobs
        assert manifest.grown_as(longer) == longer
        # Whoever else may write to the cluster, looks stay.
        hidden = longer.model_copy(update={"looks": []})
        assert longer.grown_as(hidden).looks == longer.looks
        other = Look(command="resume", seeds=2, rows=2)
        assert longer.grown_as(longer.model_copy(update={"looks": [other]})).looks == [*longer.looks, other]
        gone = [Withdrawn(kind="extend", seeds=(), jobs=tuple(longer.jobs[1:]))]
        assert not longer.model_copy(update={"jobs": longer.jobs[:1], "withdrawn": gone}).goes_on(longer)
        # Without the round, the sweep has the jobs from before, and knows of the others.
        undone = longer.undone()
        assert (undone.jobs, undone.known_jobs) == (manifest.jobs, longer.known_jobs)
        # So it does with the keys of an earlier version.
        earlier = longer.model_copy(update={"jobs": [key[::-1] for key in longer.jobs]})
        assert earlier.undone().known_jobs == earlier.known_jobs
        steps += [longer, undone] if undoing >> number & 1 else [longer]
        # The grid is complete: every seed of the sweep for every configuration.
        assert set(longer.grown.jobs_by_key(MNIST_DIGEST)) <= set(longer.jobs)
    # Each step is the same when it is read again, and goes on with those before, and with none after.
    for i, each in enumerate(steps):
        again = Manifest.read(each.as_text().encode())
        assert again == each
        assert list(again.jobs_by_key()) == each.jobs
        assert [again.goes_on(other) for other in steps] == [j <= i for j in range(len(steps))]


MANY = [{"kind": "confirm", "seeds": [9], "configurations": [{"learning_rate": 0.1}]}] * 101
WIDE = [{"kind": "extend", "grid": {"learning_rate": [(each + 1) / 1e6 for each in range(2000)]}}]
LONG = [{"kind": "extend", "seeds": list(range(2, 2000))}]


@patient
@given(st.lists(rounds | json_values, max_size=4) | json_values, st.lists(json_values, max_size=2))
@example(MANY, [])
@example(WIDE, [])
@example(LONG, [])
@example([{"kind": "extend", "grid": {"trainer": ["network"]}}], [])
@example([{"kind": "extend", "seeds": [2**70]}], [])
@example([{"kind": "extend", "grid": {"learning_rate": [[1], {}]}}], [{"command": "extend", "seeds": 0, "rows": -1}])
@example([{"kind": "confirm", "seeds": [5], "configurations": [{"learning_rate": {}}]}], [])
def test_rounds_of_a_foreign_file_are_read_or_refused(tmp_path: Path, added: Any, looks: Any) -> None:
    folder = SweepFolder(tmp_path, "sweep")
    folder.path.mkdir(exist_ok=True)
    content = json.loads(FIRST.as_text()) | {"rounds": added, "looks": looks, "withdrawn": looks}
    (folder.path / "sweep.json").write_text(json.dumps(content))
    found = answer(folder.manifest, error=SweepNotFoundError)
    if found is not None:
        assert len(found.jobs_by_key()) >= len(FIRST.jobs)
