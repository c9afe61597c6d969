"""The trainer `sklearn`: the methods of the protocol, which use the modules of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from nn.datasets import MNIST_DIGEST
from nn.errors import InvalidInputError, WeightsError
from worker.trainers.protocol import Checkpoint, Metric, OnEpoch, Trained, Trainer
from worker.trainers.sklearn import sources
from worker.trainers.sklearn.estimators import estimator, estimators
from worker.trainers.sklearn.options import SklearnOptions, model_of, parameters
from worker.trainers.sklearn.sources import HELP, NAMES

if TYPE_CHECKING:
    from worker.trainers.sklearn.sources import SklearnData

_ACCURACY = Metric(name="validation accuracy", is_share=True)
_R2 = Metric(name="validation R2")


class SklearnTrainer(Trainer[SklearnOptions, "SklearnData"]):
    """Trains classifiers and regressors of scikit-learn. Artifacts are safetensors with all that was fitted.

    Not exact: another release of scikit-learn or NumPy, or another kind of CPU, may give other bits.
    """

    name = "sklearn"
    version = 1
    Options = SklearnOptions
    metric: ClassVar[Metric] = _ACCURACY
    exact = False
    shares = "all"
    packages = ("numpy", "scikit-learn", "scipy")
    datasets = NAMES
    data_help = HELP
    data = "digits"

    def options_for(self, given: Mapping[str, Any]) -> type[BaseModel]:
        """Return the options of the given estimator; if none or several are given, those that all estimators have."""
        name = given.get("estimator")
        return SklearnOptions if not isinstance(name, str) or "," in name else model_of(name.strip())

    def metric_of(self, options: SklearnOptions) -> Metric:
        """Return the accuracy for a classifier, and R2 for a regressor."""
        return _ACCURACY if estimator(options.estimator).kind == "classifier" else _R2

    def epochs(self, options: SklearnOptions) -> int:
        """Return the number of epochs: 1 for an estimator that is fitted at once."""
        return options.epochs if estimator(options.estimator).in_epochs else 1

    def others(self, options: SklearnOptions) -> tuple[Metric, ...]:
        """Return the mean squared error for a regressor."""
        from worker.trainers.sklearn.fitting import MEAN_SQUARED_ERROR

        if estimator(options.estimator).kind == "classifier":
            return ()
        return (Metric(name=MEAN_SQUARED_ERROR, higher_is_better=False),)

    def named(self, options: SklearnOptions) -> dict[str, Any]:
        """Return the options that differ from their defaults, without `epochs` if it has no effect."""
        named = super().named(options)
        if not estimator(options.estimator).in_epochs:
            named.pop("epochs", None)
        return named

    def load(self, source: str, cache_dir: Path) -> SklearnData:
        """Load a data set, see `data_help`."""
        return sources.load(source, cache_dir)

    def digest(self, source: str, cache_dir: Path) -> str:
        """Return the data set's digest; MNIST's is known."""
        return MNIST_DIGEST if source == "bundled" else super().digest(source, cache_dir)

    def prepare(self, data: SklearnData) -> None:
        """Import scikit-learn's estimators and scale the samples; processes that start afterwards share both."""
        estimators()
        data.samples(standardize=True)

    def data_name(self, source: str, digest: str) -> str:
        """Return `MNIST` for it, and the source for another data set."""
        return "MNIST" if digest == MNIST_DIGEST else source

    def check(self, values: Mapping[str, Sequence[Any]], digest: str, load: Callable[[], SklearnData]) -> None:
        """Reject estimators that do not suit the data set, options without effect, and combinations that fail.

        Raises:
            InvalidInputError: names the option.
        """
        from worker.trainers.sklearn.trial import check

        check(values, load)

    def check_artifact(self, options: SklearnOptions, digest: str, artifact: bytes) -> None:
        """Check that an artifact is intact and was made with the options."""
        from worker.trainers.sklearn.state import read_about

        if read_about(artifact).get("options") != self.named(options):
            raise WeightsError("the artifact was made with other options")

    def train(
        self,
        options: SklearnOptions,
        seed: int,
        data: SklearnData,
        *,
        on_epoch: OnEpoch,
        resume_from: Checkpoint | None = None,
    ) -> Trained:
        """Fit the estimator, epoch by epoch if it trains in passes."""
        from worker.trainers.sklearn.fitting import Fitting, fit

        found = estimator(options.estimator)
        if found.kind not in data.kinds:
            raise InvalidInputError("estimator", found.name, f"a {min(data.kinds)} for this data set")
        if self.draws_split(options):
            data = data.split_by(seed)
        fitting = Fitting(found, parameters(options), seed, data, standardize=options.standardize)
        classes = list(data.classes) if found.kind == "classifier" else []
        about = {"options": self.named(options), "classes": classes}
        return fit(fitting, self.epochs(options), about, on_epoch, resume_from)
