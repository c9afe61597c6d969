"""The trainer of the notebook's network: the options of `nn.options.network`, the training loop of `nn.training`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nn.datasets import MAX_SIDE, MNIST_DIGEST, MNIST_FEATURES, MNIST_SAMPLES, N_CLASSES
from nn.errors import InvalidInputError, WeightsError
from nn.options.network import SHAPE, NetworkOptions, check_effects, check_test_size
from worker.trainers.protocol import Checkpoint, Evaluated, Metric, OnEpoch, Trained, Trainer

if TYPE_CHECKING:
    from nn.datasets.mnist import Dataset
    from nn.samples import Samples
    from nn.training import Training
    from nn.weights import Weights

#: Options that every key contains. A key contains others only if they differ from their defaults, so that a new option
#: does not change the keys of existing jobs.
_ALWAYS = frozenset({
    "learning_rate", "epochs", "hidden_layer_sizes", "rule", "loss", "dtype", "shuffle", "engine", "limit",
})  # fmt: skip
NOTEBOOK_ACCURACY = "notebook_accuracy"


class NetworkTrainer(Trainer[NetworkOptions, "Dataset"]):
    """Trains the 4-layer network on MNIST, or on a data set in its format. Artifacts are safetensors (`nn.weights`).

    Jobs of float64 have version 2: their initial weights were drawn through the C library's logarithm in version 1.
    """

    name = "network"
    version = 2
    Options = NetworkOptions
    metric = Metric(name="validation accuracy", is_share=True)
    exact = True
    shares = "all"
    datasets = ("bundled", "openml")
    data_help = "bundled, openml, or a folder with the four IDX files"
    data = "bundled"

    @property
    def versions(self) -> frozenset[int]:
        """1 for float32 and 2 for float64."""
        return frozenset({1, 2})

    def version_of(self, options: NetworkOptions) -> int:
        """Return 1 for float32, whose bits have never changed, and 2 for float64."""
        return 2 if options.dtype == "float64" else 1

    def is_exact(self, options: NetworkOptions) -> bool:
        """Return whether the compiled engine trains: NumPy's last bits depend on the CPU."""
        return options.engine == "compiled"

    def named(self, options: NetworkOptions) -> dict[str, Any]:
        """Return the options that a key has always had, and those that differ from their defaults."""
        named = _ALWAYS | super().named(options).keys()
        return {name: value for name, value in options.model_dump(mode="json").items() if name in named}

    def others(self, options: NetworkOptions) -> tuple[Metric, ...]:
        """Return the accuracy that the notebook would have printed, for its rule."""
        return (Metric(name=NOTEBOOK_ACCURACY),) if options.rule == "notebook" else ()

    def load(self, source: str, cache_dir: Path) -> Dataset:
        """Load MNIST or a folder of its format, as `nn.datasets.mnist.load_mnist` does."""
        from nn.datasets.mnist import load_mnist

        return load_mnist(source, cache_dir=cache_dir)

    def digest(self, source: str, cache_dir: Path) -> str:
        """Return the data set's digest, without reading the data if it is known."""
        from nn.datasets.mnist import dataset_digest

        return dataset_digest(source)

    def prepare(self, data: Dataset) -> None:
        """Compile, or load from numba's cache, the machine code that a job with the default options runs."""
        from nn.kernel.engine import warm_up

        options = NetworkOptions(learning_rate=0.01)
        layers = options.layers(data.train.n_features, data.train.n_classes)
        warm_up(layers, dtype=options.dtype, objective=options.loss)

    def train(
        self,
        options: NetworkOptions,
        seed: int,
        data: Dataset,
        *,
        on_epoch: OnEpoch,
        resume_from: Checkpoint | None = None,
    ) -> Trained:
        """Train the network. The weights depend on options, seed and data only, whether or not it was interrupted."""
        from nn.training import Training
        from nn.weights import to_safetensors

        others, n_train = [each.name for each in self.others(options)], _test_split(options, data).start
        data = as_split(options, seed, data)
        arguments = options.model_dump(exclude={"hidden_layer_sizes", "limit", "test_size", "split"})
        training = Training.begin(options.layers(data.train.n_features, data.train.n_classes), seed, **arguments)
        if resume_from is not None:
            _resume(training, resume_from)
        for record in training.run(data.train.first(n_train), data.validation):
            accuracy = float(record.validation_accuracy or 0.0)
            checkpoint = None if training.ended else lambda: to_safetensors(training.weights)
            on_epoch(accuracy, checkpoint, {name: float(getattr(record, name)) for name in others})
        problem = _problem(options, training, data.validation)
        return Trained(artifact=to_safetensors(training.weights), problem=problem, correct=training.correct.tolist())

    def continued(self, options: NetworkOptions, longer: NetworkOptions, artifact: bytes) -> bytes:
        """Return the weights: further epochs depend on nothing else from the earlier ones."""
        read_weights(options, artifact)
        return artifact

    def samples(self, options: NetworkOptions, digest: str) -> int | None:
        """Return the training samples in use; None without a limit, unless the data set is MNIST."""
        used = options.limit or (MNIST_SAMPLES if digest == MNIST_DIGEST else None)
        return None if used is None else used - options.test_size

    def held_out(self, options: NetworkOptions) -> int:
        """Return the option `test_size`."""
        return options.test_size

    def test(self, options: NetworkOptions, data: Dataset, artifact: bytes) -> Evaluated:
        """Predict the test split with the engine that trained the network."""
        from nn.training import make_engine, predict

        weights = read_weights(options, artifact, data.train.n_features)
        engine = make_engine(options.engine, weights, loss=options.loss, rule=options.rule)
        samples = data.train.rows(_test_split(options, data))
        correct = predict(engine, samples) == samples.labels
        return Evaluated(value=float(correct.mean()), correct=correct.tolist())

    def check(self, values: Mapping[str, Sequence[Any]], digest: str, load: Callable[[], Dataset]) -> None:
        """Reject options without effect, and numbers of samples that the data set does not have.

        A limit that excludes no sample would mean the same as `none`, under another key.

        Raises:
            InvalidInputError: names the option.
        """
        check_effects(values)
        limits = [limit for limit in values["limit"] if limit is not None]
        if not limits and not any(values["test_size"]):
            return
        samples = MNIST_SAMPLES if digest == MNIST_DIGEST else len(load().train)
        if limits and (limit := max(limits)) >= samples:
            allowed = f"less than {samples}, the number of training samples in the data set (or none, for all of them)"
            raise InvalidInputError("limit", limit, allowed)
        check_test_size(values["test_size"], samples, f"2 less than the {samples} training samples in the data set")

    def check_artifact(self, options: NetworkOptions, digest: str, artifact: bytes) -> None:
        """Check that an artifact is a network with the layers, the dtype and the biases of the options."""
        read_weights(options, artifact, MNIST_FEATURES if digest == MNIST_DIGEST else None)

    def max_bytes(self, options: NetworkOptions, digest: str) -> int:
        """Return the bytes of the largest network with these options: for images of any size, unless it is MNIST."""
        from nn.weights import max_blob_bytes

        n_features = MNIST_FEATURES if digest == MNIST_DIGEST else MAX_SIDE**2
        return max_blob_bytes(options.layers(n_features, N_CLASSES), options.dtype)

    def model_name(self, common: Mapping[str, Any], digest: str) -> tuple[str, frozenset[str]]:
        """Return the widths of the layers, `network 784-128-64-10`, if all networks have the same."""
        if digest != MNIST_DIGEST or not common.keys() >= SHAPE:
            return "", frozenset()
        layers = NetworkOptions.model_construct(**common).layers(MNIST_FEATURES, N_CLASSES)
        return f"network {'-'.join(map(str, layers))}", SHAPE


def read_weights(options: NetworkOptions, blob: bytes, n_features: int | None = None) -> Weights:
    """Read the weights of a network with these options from untrusted bytes; None accepts any number of features.

    Raises:
        WeightsError: they are not such a network.
    """
    from nn.weights import from_safetensors

    weights = from_safetensors(blob)
    found, dtype = weights.layer_sizes, weights.W1.dtype.name
    expected = options.layers(found[0] if n_features is None else n_features, N_CLASSES)
    if (found, dtype) != (expected, options.dtype):
        raise WeightsError(
            f"the weights have layers of {found} in {dtype}; the job's are {expected} in {options.dtype}"
        )
    if weights.has_biases != options.biases:
        have, needs = ("no biases", "them") if options.biases else ("biases", "none")
        raise WeightsError(f"the weights have {have}; the job's network has {needs}")
    return weights


def _test_split(options: NetworkOptions, data: Dataset) -> slice:
    """Return where the test split is: it is the last of the training samples in use, whatever the seed."""
    used = len(data.train.first(options.limit))
    n_train = used - options.test_size
    if n_train < 1:
        raise InvalidInputError("test_size", options.test_size, f"less than {used}, the number of samples in use")
    return slice(n_train, used)


def as_split(options: NetworkOptions, seed: int, data: Dataset) -> Dataset:
    """Return a data set as a job splits it: by its seed if it says so, among all samples but the test split."""
    return data.split_by(seed, _test_split(options, data)) if options.split == "seed" else data


def _resume(training: Training, checkpoint: Checkpoint) -> None:
    from nn.training import Checkpoint as State
    from nn.training import EpochRecord
    from nn.weights import from_safetensors

    weights = from_safetensors(checkpoint.state)
    if not weights.is_finite:
        # Training ends with the first epoch that has such a weight.
        raise WeightsError("the checkpoint has a weight that is infinite or not a number")
    # The worker has the earlier records; here, only their number matters.
    history = tuple(EpochRecord(number + 1, 0.0) for number in range(checkpoint.epochs))
    try:
        training.resume(State(weights, history))
    except InvalidInputError as error:
        raise WeightsError(f"the checkpoint belongs to another job: {error}") from None
    if training.ended:
        raise WeightsError("the checkpoint leaves no epoch to train")


def _problem(options: NetworkOptions, training: Training, validation: Samples) -> str | None:
    import numpy as np

    if training.diverged:
        return "diverged: a weight is infinite or not a number"
    if options.rule == "notebook":
        # The notebook's rule cannot learn, so an accuracy at chance level is expected.
        return None
    accuracy = float(training.correct.mean())
    chance = np.bincount(validation.labels).max() / len(validation)
    if accuracy <= chance:
        return (
            f"stuck at chance: the validation accuracy of {100 * accuracy:.2f} % is no better than always naming the "
            f"most common class ({100 * chance:.2f} %)"
        )
    return None
