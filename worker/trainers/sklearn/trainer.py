"""The trainer `sklearn`: the methods of the protocol, and the checks before a sweep.

Before a sweep begins, each combination of words is tried on a few samples, within bounds.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from nn.datasets import MNIST_DIGEST
from nn.errors import Described, InvalidInputError, SeedsweepError, WeightsError
from nn.forked import forked
from nn.options.describe import written
from nn.options.network import check_split
from worker.trainers.protocol import Checkpoint, Metric, OnEpoch, Trained, Trainer
from worker.trainers.sklearn import sources
from worker.trainers.sklearn.estimators import MEAN_SQUARED_ERROR, Estimator, estimator, estimators
from worker.trainers.sklearn.options import OWN, SklearnOptions, model_of, parameters
from worker.trainers.sklearn.sources import SklearnData

_ACCURACY = Metric(name="validation accuracy", is_share=True)
_R2 = Metric(name="validation R2")
_ERROR = Metric(name=MEAN_SQUARED_ERROR, higher_is_better=False)
#: The samples of a trial, of each class and in all: the first trial's, then those of trials after a failed one.
_SAMPLES = ((10, 60), (20, 120), (100, 2000))
#: The most iterations of a trial, and the most parts of an ensemble.
_FEW = 20
#: The most combinations that are tried, and the bytes of memory and seconds of a processor that all may take.
_MAX_COMBINATIONS, _MOST_MEMORY, _MOST_SECONDS = 64, 2**29, 10


class SklearnTrainer(Trainer[SklearnOptions, SklearnData]):
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
    datasets = sources.NAMES
    data_help = sources.HELP
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
        return () if estimator(options.estimator).kind == "classifier" else (_ERROR,)

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

    def check(self, values: Mapping[str, Sequence[Any]], digest: str, load: Callable[[], SklearnData]) -> None:
        """Reject estimators that do not suit the data set, options without effect, and combinations that fail.

        Raises:
            InvalidInputError: names the option.
        """
        chosen = [estimator(name) for name in values["estimator"]]
        _check_epochs(chosen, values["epochs"])
        check_split(values["split"])
        data = load()
        kinds = {each.kind for each in chosen}
        if len(kinds) > 1:
            names = ",".join(next(each.name for each in chosen if each.kind == kind) for kind in sorted(kinds))
            raise InvalidInputError("estimator", Described(names), "classifiers only or regressors only in one sweep")
        wrong = next((each for each in chosen if each.kind not in data.kinds), None)
        if wrong is not None:
            (kind,) = data.kinds
            what = "classes" if kind == "classifier" else "numbers, not classes"
            raise InvalidInputError("estimator", wrong.name, f"a {kind}, because the data set's targets are {what}")
        trials = [data.few(chosen[0].kind, of_each, n) for of_each, n in _SAMPLES]
        # What takes more is left to the workers.
        with contextlib.suppress(BrokenProcessPool, MemoryError):
            forked(_check_fits, dict(values), trials, bounds=(_MOST_MEMORY, _MOST_SECONDS))

    def check_artifact(self, options: SklearnOptions, digest: str, artifact: bytes) -> None:
        """Check that an artifact is intact and was made with the options."""
        from worker.trainers.sklearn.state import read

        if read(artifact)[1].get("options") != self.named(options):
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
        classes = list(data.classes) if found.kind == "classifier" else []
        about = {"options": self.named(options), "classes": classes}
        return fit(Fitting(options, seed, data), self.epochs(options), about, on_epoch, resume_from)


def _check_epochs(chosen: Sequence[Estimator], epochs: Sequence[int]) -> None:
    """Reject epochs that have no effect, which would give one job several names."""
    default = SklearnOptions.model_fields["epochs"].default
    at_once = next((each for each in chosen if not each.in_epochs), None)
    if at_once is None:
        return
    because = f"{at_once.name} is fitted at once, without epochs"
    if len(set(epochs)) > 1:
        raise InvalidInputError("epochs", Described(written(tuple(epochs))), f"one value, because {because}")
    if epochs[0] != default and not any(each.in_epochs for each in chosen):
        raise InvalidInputError("epochs", epochs[0], f"nothing but the default {default}, because {because}")


def _check_fits(values: Mapping[str, Sequence[Any]], trials: Sequence[SklearnData]) -> None:
    for combination in itertools.islice(_combinations(values), _MAX_COMBINATIONS):
        options: Any = model_of(combination["estimator"]).model_construct(**combination)
        message = _refusal(options, trials)
        if message is None:
            continue
        name, changed = options.estimator, parameters(options)
        if options.standardize and _refusal(options.model_copy(update={"standardize": False}), trials) is None:
            raise InvalidInputError("standardize", Described("true"), f"false with {name} ({message})")
        said = ", ".join(f"{each}={written(changed[each])}" for each in combination if each in changed)
        shown = Described(f"{name} with {said}" if said else name)
        raise InvalidInputError("estimator", shown, f"what it can be fitted with ({message})")


def _combinations(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Yield all combinations of words with the first of each option's numbers, then each further number by itself."""
    words = {name: each if name in OWN or not _are_numbers(each) else each[:1] for name, each in values.items()}
    words["epochs"] = words["epochs"][:1]
    for combination in itertools.product(*words.values()):
        yield dict(zip(words, combination, strict=True))
    first = {name: each[0] for name, each in values.items()}
    for name, each in values.items():
        if name != "epochs" and _are_numbers(each):
            yield from ({**first, name: value} for value in each[1:])


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values)


def _refusal(options: SklearnOptions, trials: Sequence[SklearnData]) -> str | None:
    """Return why an estimator cannot be fitted, in its own words; None if it can, or if that depends on the samples.

    It depends on them if the reason changes with their number, such as fewer samples than neighbours.
    """
    from worker.trainers.sklearn.fitting import Divergence, Fitting

    reasons = set()
    # They decide how long most fits take, and what is refused does not depend on them.
    counts = {name: getattr(options, name, None) for name in ("max_iter", "n_estimators")}
    few = {name: min(count, _FEW) for name, count in counts.items() if isinstance(count, int)}
    options = options.model_copy(update=few)
    for data in trials:
        fitting = Fitting(options, 0, data)
        try:
            fitting.train(0)
            fitting.predict()
        except Divergence:
            return None
        except MemoryError:
            raise
        except SeedsweepError as error:
            reasons.add(str(error))
        except Exception as error:
            reasons.add(" ".join(str(error).split())[:300].rstrip(".") or type(error).__name__)
        else:
            return None
        if len(reasons) > 1:
            return None
    return reasons.pop()
