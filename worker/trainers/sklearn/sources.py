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
    f"bundled (MNIST), {', '.join(TOY_SETS)}, or FILE#TARGET: a .csv file and one of its columns, "
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
        x: shape (n, n_features), finite; float64, or float32 for MNIST. The training samples come first.
        y: shape (n,): the class of each sample, from 0 on, as int64; or a number, as float64.
        n_train: The number of training samples.
        classes: The name of each class; empty if the target is not a class.
    """

    digest: str
    kinds: frozenset[Kind]
    x: NDArray[Any]
    y: NDArray[Any]
    n_train: int
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for each in (self.x, self.y):
            each.setflags(write=False)

    @cached_property
    def _standardized(self) -> NDArray[Any]:
        """The samples, scaled to mean 0 and deviation 1 over the training samples."""
        from sklearn.preprocessing import StandardScaler

        scaled: NDArray[Any] = StandardScaler().fit(self.x[: self.n_train]).transform(self.x)
        scaled.setflags(write=False)
        return scaled

    def samples(self, standardize: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the training and the validation samples."""
        x = self._standardized if standardize else self.x
        return x[: self.n_train], x[self.n_train :]

    def targets(self, kind: Kind) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the targets of the training and the validation samples, as an estimator of this kind takes them."""
        import numpy as np

        y = self.y
        if kind == "regressor" and self.classes:
            y = np.array([float(each) for each in self.classes])[y]
        return y[: self.n_train], y[self.n_train :]

    def split_by(self, seed: int) -> SklearnData:
        """Return a copy with the split that a seed draws; of MNIST, it is that of `nn.datasets.mnist.Dataset`."""
        from nn.datasets.mnist import split_order

        order = split_order(len(self.y), len(self.y) - self.n_train, [seed, 0])
        return replace(self, x=self.x[order], y=self.y[order])

    def few(self, kind: Kind, of_each: int, n: int) -> SklearnData:
        """Return the first samples as a data set: about `n`, and `of_each` of each class if there are as many."""
        import numpy as np

        rows = np.arange(self.n_train)
        if kind == "classifier":
            by_class = [rows[self.y[: self.n_train] == each] for each in range(len(self.classes))]
            share = max(of_each, n // len(by_class))
            rows = np.sort(np.concatenate([each[:share] for each in by_class]))
        else:
            rows = rows[:n]
        kept = np.concatenate((rows, np.arange(self.n_train, len(self.y))[:n]))
        return replace(self, x=self.x[kept], y=self.y[kept], n_train=len(rows))


def load(source: str, cache_dir: Path) -> SklearnData:
    """Load a data set: one of `NAMES`, or the path of a file, `#`, and its target.

    Raises:
        DatasetError: there is no such data set, or it cannot be learned from.
    """
    if source == "bundled":
        from nn.datasets.mnist import load_mnist

        mnist = load_mnist("bundled", cache_dir=cache_dir)
        return SklearnData(
            digest=mnist.digest,
            kinds=frozenset({"classifier"}),
            x=mnist.samples.to_dense(),
            y=mnist.samples.labels,
            n_train=mnist.n_train,
            classes=tuple(map(str, range(mnist.samples.n_classes))),
        )
    if source in TOY_SETS:
        from sklearn import datasets

        features, labels = getattr(datasets, f"load_{source}")(return_X_y=True)
        return _split(source, features, labels, frozenset({TOY_SETS[source]}))
    path, mark, target = source.rpartition("#")
    if not mark or not target or Path(path).suffix.lower() not in SUFFIXES:
        raise DatasetError(f"the data set {source!r} is unknown; allowed: {HELP}")
    return _split(Path(path).name, *read_table(Path(path), target))


def _split(
    name: str, features: NDArray[Any], target: NDArray[Any], kinds: frozenset[Kind] | None = None
) -> SklearnData:
    import numpy as np

    from nn.datasets.mnist import split_order, validation_size

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
    n_validation = validation_size(len(features))
    order, n_train = split_order(len(features), n_validation, 42), len(features) - n_validation
    if classes and len(np.unique(target[order[:n_train]])) < 2:
        raise DatasetError(f"the training samples of {name} are all of one class; expected at least two")
    return SklearnData(
        digest=_digest(features, target, classes, found),
        kinds=found,
        x=features[order],
        y=target[order],
        n_train=n_train,
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
    import numpy as np

    head = json.dumps([features.shape, target.dtype.kind, classes, sorted(kinds)])
    content = hashlib.sha256(f"seedsweep table 1: {head}\n".encode())
    content.update(np.ascontiguousarray(features, "<f8").data)
    content.update(np.ascontiguousarray(target, "<f8" if target.dtype.kind == "f" else "<i8").data)
    return content.hexdigest()
