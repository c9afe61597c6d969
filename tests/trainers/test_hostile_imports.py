"""Packages of trainers that do harm when they are imported: they break no other trainer."""

import json
from pathlib import Path

import pytest

from orchestrator.cli.main import run
from orchestrator.commands import trainers
from tests.support.own_trainer import EXAMPLE_SOURCE, installed
from worker.trainers import registry

LISTED = EXAMPLE_SOURCE.replace("epochs: int = Field(default=10, ge=1, le=100_000", "epochs: list = Field(default=[10]")
#: What the import does -> what is said of the trainer.
IMPORTS = {
    LISTED.replace("SoftmaxTrainer", "Harmful").replace(
        '"softmax"', '"harmful"'
    ): "epochs has the default '[10]'; allowed",
    "import time; time.sleep(10**6)": "its import took longer than 5 seconds",
    "import os; os._exit(3)": "its import ended the process, with exit status 3",
    "class Odd(BaseException): pass\nraise Odd('why')": "cannot be imported: Odd: why",
    "raise KeyboardInterrupt": "cannot be imported: KeyboardInterrupt",
    "import os\nif os.fork() == 0:\n    import time; time.sleep(9)\nos._exit(0)": "with exit status 0",
}


@pytest.mark.parametrize("source", IMPORTS)
def test_an_import_that_does_harm_is_named(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "longer" in IMPORTS[source]:
        monkeypatch.setattr(trainers, "PROBE_SECONDS", 5.0)
    with installed(tmp_path, "harmful", source, "Harmful"):
        assert run(["trainers", "--json"]) == 0
    listed = {each["name"]: each["problem"] for each in json.loads(capsys.readouterr().out)["trainers"]}
    assert listed.keys() == {"network", "sklearn", "harmful"}
    assert listed["network"] is None
    assert IMPORTS[source] in listed["harmful"]


def test_what_an_import_prints_is_no_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = "import os, sys; print('loud'); os.write(1, b'louder'); os.chdir('/')\n"
    # Whoever can write to temporary files finds none whose name this process was given.
    noise += "assert 'softmax' not in sys.argv or not any(map(os.path.exists, sys.argv[1:]))\n"
    source, before = EXAMPLE_SOURCE.replace("\nimport ", f"\n{noise}import ", 1), Path.cwd()
    with installed(tmp_path, "softmax", source, "SoftmaxTrainer"):
        assert run(["trainers", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)["trainers"]
        assert (registry.trainer("softmax").name, Path.cwd()) == ("softmax", before)
    assert [(each["name"], each["version"], each["problem"]) for each in listed][-1] == ("softmax", 1, None)
    assert {option["name"] for option in listed[-1]["options"]} >= {"epochs", "learning_rate"}


def test_a_second_network_changes_nothing_and_is_mentioned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with installed(tmp_path, "network", "raise RuntimeError", "Network"):
        assert run(["trainers"]) == 0
        assert run(["sweep", "--help"]) == 0
        assert registry.code("network") is None
    printed = capsys.readouterr().out
    assert "Ignored, because network is one of Seedsweep's own trainers: network_trainer:Network" in printed
    assert "--learning-rates" in printed
