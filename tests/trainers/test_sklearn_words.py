"""Specification files and flags of a trainer whose options depend on one of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sweeps.fields import specification, vocabulary
from orchestrator.sweeps.files import SpecificationFile
from orchestrator.sweeps.specification import SweepSpecification


def read(path: Path) -> SweepSpecification:
    file = SpecificationFile(path)
    words = vocabulary(str(file.words["trainer"]), file.words)
    return specification(file.values(words), words)


def layers(made: SweepSpecification) -> Any:
    return made.values("hidden_layer_sizes")


@pytest.mark.parametrize(
    ("typed", "values"),
    [("100", (100,)), ("128,64", ((128, 64),)), (("100", "128,64", "9,8,7"), (100, (128, 64), (9, 8, 7)))],
)
def test_an_option_that_takes_a_number_or_several_has_a_value_for_each_flag(typed: Any, values: Any) -> None:
    given = {"trainer": "sklearn", "estimator": "MLPClassifier", "hidden_layer_sizes": typed}
    words = vocabulary("sklearn", given)
    assert layers(specification(words.parse(given), words)) == values


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("[options]\nhidden_layer_sizes = 64", (64,)),
        ("[options]\nhidden_layer_sizes = [64, 32]", ((64, 32),)),
        ("[grid]\nhidden_layer_sizes = [64, 32]", (64, 32)),
        ("[grid]\nhidden_layer_sizes = [64, [64, 32]]", (64, (64, 32))),
        ('[grid]\nhidden_layer_sizes = ["64", "64,32"]', (64, (64, 32))),
    ],
)
def test_in_a_file_the_section_tells_one_pair_from_two_numbers(tmp_path: Path, line: str, values: Any) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(f'trainer = "sklearn"\nestimator = "MLPClassifier"\n{line}\n')

    first = read(file)

    assert layers(first) == values
    # And the sweep's own description is read as what it meant.
    own = tmp_path / "sweep.json"
    own.write_text(json.dumps({"specification": first.model_dump(mode="json")}))
    assert read(own) == first
