"""`orchestrator show` and `orchestrator predict` on what real sweeps left."""

import io
import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nn.datasets import idx
from nn.datasets.mnist import BUNDLED, Dataset
from nn.reference import NumPyEngine
from nn.weights import from_safetensors
from orchestrator.analysis import picture
from orchestrator.analysis.picture import read_bounded
from orchestrator.cli.main import run
from orchestrator.errors import PictureError
from tests.support.command_line import CommandLine, command_line_in
from tests.support.datasets import to_bytes


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[CommandLine]:
    """A folder with four sweeps.

    `good`, two networks that learned; `biased`, one with biases; `printed`, the notebook's rule; `diverged`.
    """
    with command_line_in(tmp_path_factory.mktemp("swept"), cache_dir) as line:
        rates = ("--seeds", "0", "--learning-rates")
        line.finished("good", *rates, "0.003,0.03", "--epochs", "2", "--limit", "30000")
        line.finished("biased", *rates, "0.03", "--epochs", "1", "--limit", "30000", "--biases")
        line.finished("printed", *rates, "0.001", "--epochs", "2", "--rule", "notebook", "--dtype", "float64",
                      "--engine", "numpy", "--limit", "300")  # fmt: skip
        line.finished("diverged", *rates, "1e300", "--epochs", "1", "--limit", "100", status=1)
        yield line


@pytest.fixture(scope="module")
def digit(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A picture of the first validation image, in MNIST's own size."""
    path = tmp_path_factory.mktemp("digit") / "digit.png"
    Image.fromarray(to_bytes(mnist.validation.first(1)).reshape(28, 28)).save(path)
    return str(path)


def test_show_agrees_with_the_results_and_the_data(swept: CommandLine, mnist: Dataset) -> None:
    # Given the row of a job
    row = next(row for row in swept.rows("good") if row["options"]["learning_rate"] == 0.03)
    assert "environment" not in row
    assert "Python" in swept.rows("printed")[0]["environment"]

    # When it is shown, by its key and by its coordinates
    answer = swept.asked("show", "runs/good", row["job"][:10])
    for words in (["0:0.03"], ["seed=0", "learning_rate=0.03"], ["learning-rates=.03"], ["0", "learning_rate=3e-2"]):
        assert swept.asked("show", "good", *words) == answer

    # Then it is that job, and its network still has the accuracy that the worker measured,
    assert {name: answer[name] for name in ("job", "weights_sha256", "validation_score")} == {
        name: row[name] for name in ("job", "weights_sha256", "validation_score")
    }
    assert answer["accuracy"] == row["validation_score"][-1] > 0.93
    # every validation image is counted in the row of its class,
    confusion = np.array(answer["confusion_matrix"])
    assert confusion.sum(axis=1).tolist() == np.bincount(mnist.validation.labels).tolist()
    assert answer["class_accuracy"] == (np.diag(confusion) / confusion.sum(axis=1)).tolist()
    # and the mistakes are real ones, the most confident first.
    mistakes = answer["mistakes"]
    assert len(mistakes) == 10
    assert mistakes == sorted(mistakes, key=lambda mistake: -mistake["probability"])
    images, labels = idx.read_folder(BUNDLED)
    for mistake in mistakes:
        assert labels[mistake["image"]] == mnist.validation.labels[mistake["index"]] == mistake["true"]
        assert np.array_equal(images[mistake["image"]], to_bytes(mnist.validation)[mistake["index"]])
        assert mistake["predicted"] != mistake["true"]

    # The text has its name, its curve and the number of its mistakes.
    text = swept.run("show", "good", "0:0.03").stdout
    assert f"job {row['job'][:12]} of good: seed=0 learning_rate=0.03 epochs=2" in text
    low, high = sorted(row["validation_score"])
    assert f"{100 * low:.2f} %" in text
    assert f"{100 * high:.2f} %" in text
    assert f"(the bars begin at {100 * low:.2f} % and end at {100 * high:.2f} %)" in text
    assert f"The most confident of {round((1 - answer['accuracy']) * 10_500)} mistakes" in text


def test_a_network_with_biases_is_shown_used_and_verified(swept: CommandLine, mnist: Dataset, digit: str) -> None:
    # Given a row of a job with biases, whose file has them
    (row,) = swept.rows("biased")
    weights = from_safetensors(
        (swept.sweep("biased") / "weights" / f"{row['weights_sha256']}.safetensors").read_bytes()
    )
    assert all(b.any() for b in (weights.b1, weights.b2, weights.b3))

    # Then it shows, predicts and trains again as it did
    assert swept.asked("show", "biased", "0")["accuracy"] == row["validation_score"][-1] > 0.85
    (expected,) = NumPyEngine(weights, loss="cross_entropy").predict_proba(mnist.validation.first(1))
    assert swept.asked("predict", "biased", "--image", digit)["probabilities"] == pytest.approx(expected)
    assert "Verified: 1 job of biased gives the same bits again" in swept.run("verify", "biased").stdout


def test_show_has_the_notebooks_numbers_beside_the_true_ones(swept: CommandLine) -> None:
    # Given a row of the notebook's rule, trained by the plain engine
    (row,) = swept.rows("printed")
    answer = swept.asked("show", "printed", "0:0.001")
    assert answer["others"] == row["others"]
    assert answer["accuracy"] == row["validation_score"][-1]

    # Then what the notebook prints follows from how often 0 and 1 are predicted
    of_each = np.array(answer["confusion_matrix"]).sum(axis=0)
    printed = row["others"]["notebook_accuracy"][-1]
    assert printed == pytest.approx((9 * of_each[0] + of_each[1]) / 1000, abs=1e-9)
    assert f"{printed:.3f}" in swept.run("show", "printed", "0:0.001").stdout


def test_a_network_of_nothing_but_nan_is_shown_as_it_is(swept: CommandLine, mnist: Dataset, digit: str) -> None:
    answer = swept.asked("show", "diverged", "0:1e300")
    # It names 0 each time, without any probability
    assert np.array(answer["confusion_matrix"]).sum(axis=0).tolist() == [len(mnist.validation), *[0] * 9]
    assert {mistake["probability"] for mistake in answer["mistakes"]} == {None}
    # and `show` and `predict` say that it diverged.
    predict = ("predict", "diverged", "--image", digit)
    assert answer["status"] == swept.asked(*predict)["status"] == "diverged"
    assert "; diverged (" in swept.run("show", "diverged", "0:1e300").stdout.split("\n")[0]
    assert "; diverged (" in swept.run(*predict).stdout.splitlines()[-1]


def test_predict_recognises_pictures_of_digits(
    swept: CommandLine, mnist: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given 30 validation images, enlarged and laid somewhere on a sheet, every other one dark on light
    rng = np.random.default_rng(0)
    images = to_bytes(mnist.validation.first(30)).reshape(-1, 28, 28)
    right = 0
    for number, image in enumerate(images):
        side = 28 * int(rng.integers(2, 9))
        sheet = Image.new("L", (side + int(rng.integers(100)), side + int(rng.integers(100))))
        large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        sheet.paste(large, tuple(rng.integers(0, np.array(sheet.size) - side + 1).tolist()))
        path = tmp_path / f"{number}.png"
        sheet.point(lambda level: 255 - level).save(path) if number % 2 else sheet.save(path)

        # When the best network of the sweep is asked
        assert run(["predict", str(swept.sweep("good")), "--image", str(path), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["options"]["learning_rate"] == 0.03
        assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
        right += answer["prediction"] == mnist.validation.labels[number]

    # Then it is right as often as on the originals, give or take a picture
    assert right >= 28


def test_predict_says_which_digit_by_which_job(swept: CommandLine, mnist: Dataset, digit: str) -> None:
    # Given an image that both networks get right
    text = swept.run("predict", "good", "--image", digit, "0:0.003").stdout
    words = ("seed=0", "learning_rate=0.003")
    assert swept.run("predict", "good", *words, "--image", digit).stdout == text

    assert f"digit.png reads as {mnist.validation.labels[0]} (" in text
    assert "Asked: job" in text
    assert "learning_rate=0.003" in text


def _announcing(folder: Path, side: int) -> Path:
    """Write a small PNG of which the header announces this many pixels a side."""
    path = folder / f"{side}.png"
    Image.new("RGBA", (28, 28)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">2I", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


def test_a_picture_that_takes_much_to_decode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given pictures of very many pixels, segments, or scans
    photograph, segments, scans = (tmp_path / f"{name}.jpg" for name in ("photograph", "segments", "scans"))
    Image.linear_gradient("L").resize((8192, 6144)).save(photograph)
    small = io.BytesIO()
    Image.linear_gradient("L").resize((2048, 2048)).save(small, "JPEG", progressive=True)
    content = small.getvalue()
    segments.write_bytes(content[:2] + b"\xff\xe5\0\2" * 2**20 + content[2:])
    # The last scan refines what the others tell, and may be repeated.
    last = content[content.rindex(b"\xff\xda") : -2]
    scans.write_bytes(content[:-2] + last * (2**24 // len(last)))
    large = [_announcing(tmp_path, side) for side in (7_000, 20_000)]
    # When there are less memory and time than by default, then a photograph of 50 megapixels is read
    monkeypatch.setattr(picture, "MOST_MEMORY", 2**25)
    monkeypatch.setattr(picture, "MOST_SECONDS", 1)
    assert read_bounded(photograph).shape == (28, 28)
    # and all others are refused
    for path in (*large, segments, scans):
        with pytest.raises(PictureError, match="cannot be decoded with 32 MiB of memory and 1 s of a processor: "):
            read_bounded(path)


def test_an_output_that_knows_few_characters_is_drawn_on_with_them(swept: CommandLine) -> None:
    text = swept.run("show", "good", "0:0.03", PYTHONIOENCODING="ascii").stdout
    assert text.isascii()
    assert text.count("#") > 10
    assert "\\" not in text


def test_nothing_that_a_folder_holds_acts_on_the_terminal(swept: CommandLine) -> None:
    # Given a folder from elsewhere, in whose rows stands how to call a window something
    shutil.copytree(swept.sweep("diverged"), swept.sweep("foreign"))
    (row,) = swept.rows("diverged")
    results = swept.sweep("foreign") / "results.jsonl"
    lost = {"status": "failed", "validation_score": [], "epoch_seconds": [], "weights_sha256": None}
    for fields, arguments, status in (
        ({}, ("show", "foreign", "0:1e300"), 0),
        (lost, ("show", "foreign", "0:1e300"), 2),
        ({}, ("sweep", "--resume", "--name", "foreign"), 1),
        ({}, ("sweep", "--resume", "--name", "foreign", "--json"), 1),
        ({}, ("leaderboard", "foreign"), 1),
    ):
        results.write_text(json.dumps(row | fields | {"error": "\x1b]0;pwn\x07\rit broke", "worker": "\x1b[2J"}) + "\n")
        done = swept.run(*arguments, status=status)
        assert not set(done.stdout + done.stderr) & set("\x1b\x07\r")
