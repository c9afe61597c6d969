"""Specification files: sections, and a sweep's own description."""

import re
from pathlib import Path

import pytest

from nn.errors import InvalidInputError
from orchestrator.sweeps.axes import Range
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.paths import ROOT
from tests.support.sweep_folders import made as made_folder
from tests.support.sweeps import parse, read_file, specification


def read(folder: Path, content: str) -> SweepSpecification:
    file = folder / "sweep.toml"
    # Half a character stands for a byte that is not UTF-8.
    file.write_text(content, errors="surrogateescape")
    return specification(read_file(file))


SECTIONS = """
seeds = "0-2"
data = "openml"
[grid]
learning_rate = "log:0.001..0.1:3"
hidden = [[8, 4], [4, 2]]
shuffle = [true, false]
loss = "cross_entropy"
[options]
epochs = 3
limit = "none"
hidden = [1, 1]
"""


def test_options_fixes_and_grid_varies(tmp_path: Path) -> None:
    made = read(tmp_path, SECTIONS.replace("hidden = [1, 1]\n", ""))

    assert made.grid == {
        "learning_rate": (0.001, 0.01, 0.1),
        "hidden_layer_sizes": ((8, 4), (4, 2)),
        "shuffle": (True, False),
    }
    assert (made.seeds, made.data, made.options["epochs"], made.options["limit"]) == ((0, 1, 2), "openml", 3, None)


def test_without_sections_a_list_varies(tmp_path: Path) -> None:
    lines = "seeds = '0-2'", "epochs = [5, 10]", "learning_rates = [0.1]", "hidden = [8, 4]", "shuffle = true"

    made = read(tmp_path, "\n".join(lines))

    assert (made.seeds, made.grid) == ((0, 1, 2), {"epochs": (5, 10)})
    assert made.options["hidden_layer_sizes"] == (8, 4)
    assert (made.options["learning_rate"], made.options["shuffle"]) == (0.1, True)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (SECTIONS, "hidden in [options] of FILE is given twice; allowed: one line for each option"),
        ("epochs = 1\n[grid]\nepochs = [1, 2]", "epochs in [grid] of FILE is given twice"),
        ("learning_rate = 1\nlearning_rates = 1", "learning_rates in FILE is given twice"),
        ("[options]\nepochs = [1, 2]", "epochs in [options] of FILE is 1,2; allowed: one value (an option varies in"),
        ("[grid]\nseeds = '0-4'", "seeds in [grid] of FILE is misplaced; allowed: a line above all sections"),
        ("grid = 3", "grid in FILE is 3; allowed: a section [grid] with a line for each option"),
        ("[grid]\nepochs = []", "epochs in FILE is []; allowed: integers from 1 to 100000"),
        ("[grid]\nepochs = [1, 0]", "epochs in FILE is 0; allowed: integers from 1 to 100000"),
        ("[grid]\nlearning_rate = 'log:0..1:3'", "learning_rate in FILE is 'log:0..1:3'; allowed: a logarithmic range"),
        ("learing_rates = 0.1", "a word of FILE is 'learing_rates'; allowed: trainer, seeds, learning_rates"),
        ("[options]\nepoch = 1", "(did you mean epochs?)"),
        ("[optoins]\nepochs = 1", "(did you mean [options]?)"),
        ("[grid.epochs]\na = 1", 'epochs in FILE is {"a": 1}; allowed: integers from 1'),
        ('{"seeds": [1]}', "a sweep's sweep.json (it is JSON and has no specification)"),
        ('{"specification": 3}', "a sweep's sweep.json (it is JSON and has no specification)"),
        ('{"specification": {"epochs": 0}}', "epochs in FILE is 0; allowed: integers from 1"),
        ('{"specification": {"options": {"momentum": 1}}}', "a word of FILE is 'momentum'; allowed: trainer, seeds"),
        ("{", "a sweep's sweep.json ("),
        ("seeds = ", "a readable TOML file, or a sweep's sweep.json ("),
        ("\udcff\udcfe", "a readable TOML file, or a sweep's sweep.json (byte 0 is not UTF-8)"),
        # A value is shown as it stands in the file.
        ("seeds = 1979-05-27", "seeds in FILE is 1979-05-27; allowed: integers"),
        ("epochs = true", "epochs in FILE is true; allowed: integers"),
        ("learning_rates = [0.1, 1979-05-27]", 'learning_rates in FILE is [0.1, "1979-05-27"]; allowed: finite'),
        ("loss = {a = 07:32:00}", 'loss in FILE is {"a": "07:32:00"}; allowed: cross_entropy or'),
        ("rule = 'magic'", "rule in FILE is 'magic'; allowed: backprop or"),
        ("engine = 3", "engine in FILE is 3; allowed: compiled or"),
        pytest.param("#" * (4 * 2**20 + 1), "sweep.json (allowed: at most 4194304 characters and", id="long"),
        pytest.param('{"specification": {"x": [' + "[{}]," * 350_000 + "0]}}", "it has too many values", id="values"),
        pytest.param("x = [" + "[]," * 500_001 + "]", "it has too many values", id="lists"),
        pytest.param("seeds = 0x" + "f" * 1000, "a number of too many digits", id="digits"),
        pytest.param("[a]\n" * 10_001, "characters and 10000 keys", id="sections"),
        pytest.param("a.b=1\n" * 10_001, "characters and 10000 keys", id="keys"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(tmp_path: Path, content: str, sentence: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        read(tmp_path, content)
    assert sentence.replace("FILE", str(tmp_path / "sweep.toml")) in str(refusal.value)
    assert "sweep.toml" in str(refusal.value) or refusal.value.field == "spec"
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"spec.*No such file"):
        read_file(tmp_path / "none.toml")


def test_a_sweeps_own_description_is_a_specification(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)

    assert specification(read_file(folder.path / "sweep.json")) == folder.manifest().specification
    # The same, but with other epochs
    changed = specification(read_file(folder.path / "sweep.json") | parse({"epochs": "1,2"}))
    assert (list(changed.grid), changed.seeds) == (["epochs"], folder.manifest().specification.seeds)


def test_the_page_about_sweeps_says_what_is_true(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "sweeps.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]

    made = read(tmp_path, example)

    assert (tuple(made.grid), made.size) == (("learning_rate", "hidden_layer_sizes"), 50)
    rows = re.findall(r"^\| `((?:log|linear):\S+)`(.*?)\| ([^|:]+)", page, re.MULTILINE)
    assert len(rows) == 3
    for text, whose, values in rows:
        points = Range.parse(text).points(integers="integers" in whose)
        assert [f"{point:g}" for point in points] == values.strip().split(", ")
