"""The data sets of the trainer `sklearn`: MNIST, toy sets, and tables in files, good and bad."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets
from sklearn.model_selection import train_test_split

from nn.datasets.mnist import MNIST_DIGEST, load_mnist, split_order
from nn.errors import DatasetError
from tests.property.hostile import answer, damaged, patient
from tests.support.memory import at_most
from tests.trainers.sklearn_jobs import TRAINER, toy, train
from worker.trainers.sklearn.sources import NAMES, SklearnData

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(40, 3)).round(3)
CLASSES = np.where(X[:, 0] > 0, "yes", "no")
NUMBERS = (X @ [1.0, -2.0, 0.5]).round(6)


def load(path: Path, target: str) -> SklearnData:
    return TRAINER.load(f"{path}#{target}", path.parent)


def table(path: Path, target: np.ndarray, x: np.ndarray = X) -> Path:
    rows = [f"{','.join(map(repr, row))},{value}" for row, value in zip(x.tolist(), target.tolist(), strict=True)]
    path.write_text("\n".join(["a,b,c,target", *rows]) + "\n")
    return path


@pytest.mark.parametrize("name", [each for each in NAMES if each != "bundled"])
def test_a_toy_set_is_split_as_everywhere_and_has_a_digest_of_its_content(name: str) -> None:
    data = toy(name)
    n = len(data.y)
    assert n - data.n_train == -(-n * 15 // 100)
    order = np.concatenate(train_test_split(np.arange(n), test_size=0.15, random_state=42))
    samples = getattr(datasets, f"load_{name}")(return_X_y=True)[0]
    assert np.array_equal(data.x, samples[order])
    assert TRAINER.digest(name, Path("unused")) == data.digest
    assert len({toy(each).digest for each in NAMES if each != "bundled"}) == 5
    assert bool(data.classes) == (name != "diabetes")


def test_mnist_is_the_data_set_that_the_network_has(cache_dir: Path) -> None:
    data, mnist = TRAINER.load("bundled", cache_dir), load_mnist(cache_dir=cache_dir)
    assert data.digest == TRAINER.digest("bundled", cache_dir) == MNIST_DIGEST
    assert data.x.dtype == np.float32
    assert np.array_equal(data.samples(standardize=False)[1], mnist.validation.to_dense())
    assert np.array_equal(data.targets("classifier")[0], mnist.train.labels)
    assert TRAINER.data_name("bundled", data.digest) == "MNIST"


def test_a_seed_draws_the_split_of_the_network_and_changes_no_sample() -> None:
    whole, drawn = toy("digits"), toy("digits").split_by(5)

    order = split_order(1797, 270, [5, 0])
    assert np.array_equal(whole.x[order], drawn.x)
    assert np.array_equal(whole.y[order], drawn.y)
    assert len(drawn.y) - drawn.n_train == len(whole.y) - whole.n_train == 270
    # A job of that seed is validated on them
    run = train("digits", seed=5, estimator="GaussianNB", split="seed")
    assert run.trained.correct == train(drawn, seed=5, estimator="GaussianNB").trained.correct
    assert run.trained.artifact != train("digits", seed=5, estimator="GaussianNB").trained.artifact


def test_samples_are_standardized_by_the_training_samples_only() -> None:
    data = toy("wine")
    train_samples, validation = data.samples(standardize=True)
    np.testing.assert_allclose(train_samples.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(train_samples.std(0), 1)
    x_train, x_validation = data.samples(standardize=False)
    np.testing.assert_allclose(validation, (x_validation - x_train.mean(0)) / x_train.std(0))
    assert x_train.base is data.x


def test_the_same_table_has_one_digest_from_every_kind_of_file(tmp_path: Path) -> None:
    from_csv = load(table(tmp_path / "a.csv", CLASSES), "target")
    np.savez(tmp_path / "b.npz", X=X, target=CLASSES, other=np.zeros(3))
    from_npz = load(tmp_path / "b.npz", "target")
    assert from_csv.digest == from_npz.digest
    assert from_csv.classes == ("no", "yes")
    assert from_csv.kinds == {"classifier"}
    assert load(table(tmp_path / "c.csv", NUMBERS), "target").digest != from_csv.digest
    changed = X.copy()
    changed[0, 0] += 0.001
    assert load(table(tmp_path / "d.csv", CLASSES, changed), "target").digest != from_csv.digest
    run = train(from_csv, estimator="LogisticRegression")
    assert run.values[-1] > 0.8


def test_any_column_can_be_the_target_and_integers_can_be_classes_or_numbers(tmp_path: Path) -> None:
    data = load(table(tmp_path / "a.csv", np.arange(40) % 2 + 5), "target")
    assert data.kinds == {"classifier", "regressor"}
    assert data.classes == ("5", "6")
    assert set(data.targets("classifier")[0]) == {0, 1}
    assert set(data.targets("regressor")[0]) == {5.0, 6.0}
    assert load(tmp_path / "a.csv", "a").kinds == {"regressor"}


def test_a_table_is_copied_once(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((2**10, 2**12), np.uint8), y=np.arange(2**10) % 2)
    with at_most(80 * 2**20):
        load(tmp_path / "a.npz", "y")


@pytest.mark.parametrize("field", [b"ab,", b'"a\n",'])
def test_a_row_is_measured_before_it_is_parsed(tmp_path: Path, field: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,target\n" * (b"\n" in field) + field * 5_000_000)
    with at_most(130 * 2**20), pytest.raises(DatasetError, match=r"a row has more than 4194304 characters"):
        load(tmp_path / "a.csv", "target")


def test_images_in_an_npz_file_are_flattened(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((20, 4, 4), np.uint8), y=np.arange(20) % 2)
    assert load(tmp_path / "a.npz", "y").samples(standardize=False)[0].shape == (17, 16)


def rows(*lines: str) -> str:
    good = [f"{number},{number % 3},{'xy'[number % 2]}" for number in range(12)]
    return "\n".join(["a,b,target", *good, *lines])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (rows("1,,x"), "column 'b', row 13 of bad.csv has no value; fill or remove missing values first"),
        (rows("1,NaN,x"), "column 'b', row 13 of bad.csv has no value"),
        (rows("1,2,"), "the target in row 13 of bad.csv has no value"),
        (
            rows("1,red,x"),
            "column 'b', row 13 of bad.csv is 'red'; allowed: finite numbers in every column but the target",
        ),
        (rows("1,1_0,x"), "is '1_0'; allowed: finite numbers"),
        (rows("1,inf,x"), "is 'inf'; allowed: finite numbers"),
        (rows("1,x"), "row 13 of bad.csv has 2 values; expected 3, as in its first line"),
        (rows("1,2,3,x"), "row 13 of bad.csv has 4 values"),
        (rows("1,2," + "x" * 300), "the target in row 13 of bad.csv has 300 characters; allowed: 200"),
        (rows('1,2,"x'), "bad.csv is not CSV in UTF-8"),
        ("a,b,target\n1,2,x\n", "bad.csv has 1 samples of 2 features; expected at least 10 of 1"),
        ("a,a,target\n1,2,x\n", "bad.csv has two columns 'a'"),
        ("target\nx\n", "bad.csv has 1 columns; allowed: from 2 to 16384"),
        ("", "bad.csv has 0 columns"),
        ("a,b,c\n1,2,3\n", "bad.csv has no 'target'; allowed as the target: 'a', 'b', 'c'"),
        ("a,target\n" + "1,x\n" * 20, "the training samples of bad.csv are all of one class"),
        ("a,target\n" + "".join(f"1,x{i}\n" for i in range(1001)), "1001 different texts; allowed: at most 1000"),
        ("a,target\n\0,x\n", "row 1 of bad.csv is '\\x00'"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(DatasetError) as error:
        load(tmp_path / "bad.csv", "target")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_table_in_another_encoding_or_too_large_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,target\n1,\xff\n")
    with pytest.raises(DatasetError, match=r"a.csv is not CSV in UTF-8"):
        load(tmp_path / "a.csv", "target")
    table(tmp_path / "b.csv", CLASSES)
    np.savez(tmp_path / "c.npz", X=X, target=CLASSES)
    np.savez(tmp_path / "long.npz", X=X[:39], target=np.full(40, "a" * 200))
    np.savez(tmp_path / "wide.npz", X=X[:39], target=np.zeros(1, "S801"))
    (tmp_path / "empty.csv").write_text("a,target\n" + "\n" * 41)
    (tmp_path / "most.csv").write_text("a,target\n" + "1,x\n2,y\n" * 19 + "1,x\n\n")
    monkeypatch.setattr("worker.trainers.sklearn.files.MAX_SAMPLES", 39)
    for name, said in (
        ("b.csv", "b.csv is too large; allowed: at most 134217728 values and 39 samples"),
        ("c.npz", "X of c.npz is too large; allowed: at most 134217728 values and 39 samples"),
        ("long.npz", "target of long.npz has 32128 bytes; allowed: at most 1248"),
        ("wide.npz", r"target of wide.npz has the type \|S801; allowed: numbers, and texts of at most 200 characters"),
        ("empty.csv", "empty.csv has more than 39 empty lines"),
    ):
        with pytest.raises(DatasetError, match=said):
            load(tmp_path / name, "target")
    load(tmp_path / "most.csv", "target")
    monkeypatch.setattr("worker.trainers.sklearn.files.MAX_SAMPLES", 40)
    monkeypatch.setattr("worker.trainers.sklearn.files.MAX_VALUES", 100)
    with pytest.raises(DatasetError, match="at most 100 values"):
        load(tmp_path / "b.csv", "target")
    monkeypatch.setattr("worker.trainers.sklearn.files.MAX_FILE_BYTES", 100)
    with pytest.raises(DatasetError, match="bytes; allowed: at most 100"):
        load(tmp_path / "b.csv", "target")


@pytest.mark.parametrize(
    "source", ["nope", "", "#", "data.csv", "#target", "/.csv#y", "/d.csv#", "/d.pkl#y", "/d.joblib#y", "os.system"]
)
def test_an_unknown_source_is_one_sentence_with_what_is_allowed(source: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"is unknown; allowed: bundled \(MNIST\), digits, .*FILE#TARGET"):
        TRAINER.load(source, tmp_path)


def test_a_missing_file_a_folder_and_a_pipe_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, said in (("missing", "No such file"), ("folder", "Is a directory"), ("pipe", "Not a regular file")):
        with pytest.raises(DatasetError, match=said):
            load(tmp_path / f"{name}.csv", "y")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"X": None}, "has no array X"),
        ({"y": None}, "has no 'y'; allowed as the target: "),
        ({"X": np.zeros(20)}, "expected (n, n_features) and (n,)"),
        ({"X": np.zeros((19, 2))}, "expected (n, n_features) and (n,)"),
        ({"X": np.full((20, 2), np.nan)}, "X of bad.npz has no value"),
        ({"X": np.full((20, 2), np.inf)}, "X of bad.npz has an infinite value"),
        ({"X": np.full((20, 2), "a")}, "X of bad.npz has the type <U1; allowed: numbers"),
        ({"X": np.zeros((20, 2), complex)}, "has the type complex128"),
        ({"X": np.array([[object()] * 2] * 20)}, "has the type object; allowed: numbers"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0)}, "has 0 samples"),
        ({"y": np.full(20, 0x110000, np.uint32).view("U1")}, "not an intact .npz file: invalid maximum character"),
        # The list of arrays is measured before it is read.
        ({f"{number:040000}": np.zeros(0) for number in range(30)}, "too many files"),
    ],
)
def test_a_bad_npz_file_is_one_sentence(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    arrays = {"X": np.zeros((20, 2)), "y": np.arange(20) % 2} | changed
    np.savez(tmp_path / "bad.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DatasetError) as error:
        load(tmp_path / "bad.npz", "y")
    assert said in str(error.value)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was loaded",))


def test_no_pickle_is_loaded_and_a_header_that_lies_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**3)})
    for content in (pickle.dumps(_Bomb()), header.getvalue() + b"\0" * 80, b"\x93NUMPY\x01\x00", b""):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", content)
            archive.writestr("y.npy", content)
        with pytest.raises(DatasetError):
            load(path, "y")
    for content in (pickle.dumps(_Bomb()), b"short"):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"not an intact .npz file: it is not a ZIP file"):
            load(path, "y")
    # Empty blocks are unpacked slowly, and files that overlap without end.
    np.savez(path, X=X, y=NUMBERS)
    at = (blob := path.read_bytes()).index(b"PK\1\2") + 24
    path.write_bytes(blob[:at] + bytes(4) + blob[at + 4 :])
    with pytest.raises(DatasetError, match=r"X.npy in it is larger than what it unpacks to$"):
        load(path, "y")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", bytes(2**12))
        archive.filelist *= 2
    with pytest.raises(DatasetError, match=r"X.npy in it overlaps another file"):
        load(path, "y")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("X.npy", bytes(2**20))
    with pytest.raises(DatasetError, match=r"by another method than deflate"):
        load(path, "y")
    # Python 3.12 and later would print a warning with the character itself.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header.getvalue().replace(b"<f8", b"\\\x1b "))
        archive.writestr("y.npy", b"")
    with pytest.raises(DatasetError, match=r"X of bomb.npz has a backslash in its header"):
        load(path, "y")


@patient
@given(st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([tmp_path / "a.npz", tmp_path / "a.csv"]))
    if path.suffix == ".npz":
        np.savez_compressed(path, X=X, target=CLASSES)
    else:
        table(path, CLASSES)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    answer(load, path, "target", error=DatasetError)
