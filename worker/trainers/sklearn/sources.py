"""The data sets: MNIST, scikit-learn's toy sets, and tables in files with a stated target."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nn.errors import DatasetError
from worker.trainers.sklearn.estimators import Kind
from worker.trainers.sklearn.files import SUFFIXES, read_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The toy sets in scikit-learn's package, each with the kind of estimator for its target.
TOY_SETS: dict[str, Kind] = {
    "digits": "classifier",
    "iris": "classifier",
    "wine": "classifier",
    "breast_cancer": "classifier",
    "diabetes": "regressor",
}
NAMES = ("bundled", *TOY_SETS)
HELP = (
    f"bundled (MNIST), {', '.join(TOY_SETS)}, or FILE#TARGET: a .csv or .parquet file and one of its columns, "
    "or an .npz file and one of its arrays"
)
#: The most classes of a target.
MAX_CLASSES = 1000
#: Fewest samples: with fewer, validation would have one.
MIN_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class SklearnData:
    """A data set, split like MNIST: 15 % of the samples validate, `random_state=42`.

    The arrays are read-only, because all jobs of a process share them.

    Attributes:
        digest: The SHA-256 of the content, in hexadecimal, whatever its file.
        kinds: The kinds of estimators that can learn it; integers can be classes or numbers.
        x_train: shape (n, n_features), finite; float64, or float32 for MNIST.
        y_train: shape (n,): the class of each sample, from 0 on, as int64; or a number, as float64.
        x_validation: As `x_train`.
        y_validation: As `y_train`.
        classes: The name of each class; empty if the target is not a class.
    """

    digest: str
    kinds: frozenset[Kind]
    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_validation: NDArray[Any]
    y_validation: NDArray[Any]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for each in (self.x_train, self.y_train, self.x_validation, self.y_validation):
            each.setflags(write=False)

    @cached_property
    def standardized(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The training and the validation samples, scaled to mean 0 and deviation 1 over the training samples."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(self.x_train)
        scaled = scaler.transform(self.x_train), scaler.transform(self.x_validation)
        for each in scaled:
            each.setflags(write=False)
        return scaled

    def samples(self, standardize: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the training and the validation samples."""
        return self.standardized if standardize else (self.x_train, self.x_validation)

    def split_by(self, seed: int) -> SklearnData:
        """Return a copy with the split that a seed draws; of MNIST, it is that of `nn.datasets.mnist.Dataset`."""
        import numpy as np

        from nn.datasets.mnist import split_order

        n_train, n_validation = len(self.y_train), len(self.y_validation)
        order = split_order(n_train + n_validation, n_validation, [seed, 0])
        x = np.concatenate((self.x_train, self.x_validation))[order]
        y = np.concatenate((self.y_train, self.y_validation))[order]
        return replace(
            self, x_train=x[:n_train], y_train=y[:n_train], x_validation=x[n_train:], y_validation=y[n_train:]
        )

    def targets(self, kind: Kind) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the targets of the training and the validation samples, as an estimator of this kind takes them."""
        if kind == "classifier" or not self.classes:
            return self.y_train, self.y_validation
        import numpy as np

        values = np.array([float(each) for each in self.classes])
        return values[self.y_train], values[self.y_validation]


def load(source: str, cache_dir: Path) -> SklearnData:
    """Load a data set: one of `NAMES`, or the path of a file, `#`, and its target.

    Raises:
        DatasetError: there is no such data set, or it cannot be learned from.
    """
    if source == "bundled":
        return _mnist(cache_dir)
    if source in TOY_SETS:
        return _toy_set(source)
    path, mark, target = source.rpartition("#")
    if not mark or not target or not path.lower().endswith(SUFFIXES):
        raise DatasetError(f"the data set {source!r} is unknown; allowed: {HELP}")
    table = read_table(Path(path), target)
    return _split(Path(path).name, table.features, table.target)


def _mnist(cache_dir: Path) -> SklearnData:
    from nn.datasets.mnist import load_mnist

    mnist = load_mnist("bundled", cache_dir=cache_dir)
    return SklearnData(
        digest=mnist.digest,
        kinds=frozenset({"classifier"}),
        x_train=mnist.train.to_dense(),
        y_train=mnist.train.labels,
        x_validation=mnist.x_validation,
        y_validation=mnist.y_validation,
        classes=tuple(map(str, range(mnist.n_classes))),
    )


def _toy_set(name: str) -> SklearnData:
    from sklearn import datasets

    features, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    return _split(name, features, target, frozenset({TOY_SETS[name]}))


def _split(
    name: str, features: NDArray[Any], target: NDArray[Any], kinds: frozenset[Kind] | None = None
) -> SklearnData:
    import numpy as np
    from sklearn.model_selection import train_test_split

    if len(features) < MIN_SAMPLES or features.shape[1] < 1:
        raise DatasetError(
            f"{name} has {len(features)} samples of {features.shape[1]} features; expected at least {MIN_SAMPLES} of 1"
        )
    found = kinds or _kinds(name, target)
    classes: tuple[str, ...] = ()
    if "classifier" in found:
        values, target = np.unique(target, return_inverse=True)
        classes = tuple(map(str, values.tolist()))
    else:
        target = target.astype(np.float64)
    features = np.ascontiguousarray(features, np.float64)
    train, validation = train_test_split(np.arange(len(features)), test_size=0.15, random_state=42)
    if classes and len(np.unique(target[train])) < 2:
        raise DatasetError(f"the training samples of {name} are all of one class; expected at least two")
    return SklearnData(
        digest=_digest(features, target, classes, found),
        kinds=found,
        x_train=features[train],
        y_train=target[train],
        x_validation=features[validation],
        y_validation=target[validation],
        classes=classes,
    )


def _kinds(name: str, target: NDArray[Any]) -> frozenset[Kind]:
    """Return the kinds of estimators for a target: texts are classes, floats are numbers, integers can be both."""
    import numpy as np

    if target.dtype.kind == "f":
        return frozenset({"regressor"})
    n_classes = len(np.unique(target))
    if n_classes <= MAX_CLASSES:
        return frozenset({"classifier"} if target.dtype.kind != "i" else {"classifier", "regressor"})
    if target.dtype.kind == "i":
        return frozenset({"regressor"})
    raise DatasetError(f"the target of {name} has {n_classes} different texts; allowed: at most {MAX_CLASSES} classes")


def _digest(
    features: NDArray[np.float64], target: NDArray[Any], classes: tuple[str, ...], kinds: frozenset[Kind]
) -> str:
    head = json.dumps([features.shape, target.dtype.kind, classes, sorted(kinds)])
    content = hashlib.sha256(f"seedsweep table 1: {head}\n".encode())
    content.update(features.astype("<f8").tobytes())
    content.update(target.astype("<f8" if target.dtype.kind == "f" else "<i8").tobytes())
    return content.hexdigest()
