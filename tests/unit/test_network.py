"""The training loop: the same bits however it is fed, watched, stopped and resumed.

What it does, it does with any engine: here it runs the one that needs no compiling, on a small data set.
"""

from unittest.mock import Mock

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from nn.errors import InvalidInputError
from nn.kernel.engine import CompiledEngine
from nn.network import DeepNeuralNetwork, print_epoch
from nn.notebook import notebook_accuracy
from nn.reference import NumPyEngine
from nn.samples import Samples, pack
from nn.training import Checkpoint, EpochRecord, make_engine
from nn.weights import Weights, to_safetensors

N, FEATURES, CLASSES = 60, 12, 3
HIDDEN = (6, 5)


def some_samples(seed: int) -> Samples:
    """Return sparse samples of every class, with values in float32 as an image's."""
    random = np.random.RandomState(seed)
    X = random.rand(N, FEATURES) * (random.rand(N, FEATURES) < 0.7)
    return pack(X.astype(np.float32), np.arange(N) % CLASSES)


TRAIN, VALIDATION = some_samples(1), some_samples(2)


def network(**parameters: object) -> DeepNeuralNetwork:
    usual = {"hidden_layer_sizes": HIDDEN, "engine": "numpy", "epochs": 4, "random_state": 7}
    return DeepNeuralNetwork(**usual | parameters)


def bits(trained: DeepNeuralNetwork) -> bytes:
    return to_safetensors(trained.weights_)


def without_time(history: list[EpochRecord]) -> list[EpochRecord]:
    return [record._replace(seconds=0.0) for record in history]


class TestInput:
    """However the same samples are given, the same network comes out."""

    @pytest.mark.parametrize("rule", ["backprop", "notebook"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_samples_dense_and_sparse(self, dtype: str, rule: str) -> None:
        # Given the same samples packed, as a matrix, and as a sparse matrix, each in the network's own precision
        X, y = TRAIN.to_dense().astype(dtype), TRAIN.labels

        packed = network(dtype=dtype, rule=rule).fit(TRAIN)
        dense = network(dtype=dtype, rule=rule).fit(X, y)
        sparse = network(dtype=dtype, rule=rule).fit(scipy.sparse.csc_array(X), y)

        assert bits(packed) == bits(dense) == bits(sparse)
        assert packed.weights_.W1.dtype == dtype
        assert np.array_equal(packed.predict_proba(TRAIN), dense.predict_proba(X))
        assert np.array_equal(packed.classes_, dense.classes_)

    def test_samples_are_trained_on_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[Samples] = []
        monkeypatch.setattr(
            "nn.reference.NumPyEngine.train_epoch", lambda _self, samples, _rate, _order: given.append(samples)
        )

        network(epochs=1).fit(TRAIN)

        assert given == [TRAIN]

    def test_float64_sees_more_of_dense_features_than_float32(self) -> None:
        X, y = np.array([[1 / 3, 0.0], [0.0, 1 / 3]]), [0, 1]

        assert bits(network(dtype="float64").fit(X, y)) != bits(network(dtype="float64").fit(X.astype("f4"), y))
        assert bits(network(dtype="float32").fit(X, y)) == bits(network(dtype="float32").fit(X.astype("f4"), y))

    def test_first_few_samples_make_a_network_for_all_classes_and_without_names(self) -> None:
        trained = network(epochs=1)
        trained.feature_names_in_ = np.array(["left by an earlier fit"])

        assert trained.fit(TRAIN.first(1)).weights_.layer_sizes == (FEATURES, *HIDDEN, CLASSES)
        assert trained.predict_proba(TRAIN.first(2)).shape == (2, CLASSES)
        assert not hasattr(trained, "feature_names_in_")

    @pytest.mark.parametrize(
        ("samples", "expected"),
        [
            (pack(np.ones((2, 5), "f4"), np.zeros(2)), "X is '5 features'; allowed: 12, as in fit"),
            (pack(np.ones((2, 12), "f4"), np.full(2, 3)), "X is '4 classes'; allowed: at most 3, as in fit"),
        ],
    )
    def test_other_samples_than_those_of_fit_are_refused(self, samples: Samples, expected: str) -> None:
        trained = network(epochs=1).fit(TRAIN)

        for use in (trained.predict, trained.predict_proba, trained.partial_fit):
            with pytest.raises(InvalidInputError, match=expected):
                use(samples)

    def test_no_samples_are_refused(self) -> None:
        with pytest.raises(InvalidInputError, match="X is 'no samples'; allowed: at least one"):
            network().fit(TRAIN.first(0))


class TestSeed:
    """What the seed decides."""

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_the_same_seed_gives_the_same_bits(self, shuffle: bool) -> None:
        seeds = (7, 7, 8, np.random.RandomState(7), np.random.RandomState(7), None)
        trained = [bits(network(shuffle=shuffle, random_state=seed).fit(TRAIN)) for seed in seeds]

        one, same, other, of_a_generator, of_its_like, any_other = trained
        assert one == same != other
        assert of_a_generator == of_its_like != any_other
        # A generator draws the seed of the orders, too.
        assert (one == of_a_generator) is not shuffle

    def test_order_of_an_epoch_follows_from_seed_and_number(self) -> None:
        # Given the samples in the documented order of epochs 1 and 2
        X, y = TRAIN.to_dense(), TRAIN.labels
        orders = [np.random.RandomState([7, epoch]).permutation(N) for epoch in (1, 2)]
        by_hand = network()
        for order in orders:
            by_hand.partial_fit(X[order], y[order], classes=range(CLASSES))

        # Then shuffling does the same
        assert bits(network(shuffle=True, epochs=2).fit(TRAIN)) == bits(by_hand)
        assert not np.array_equal(*orders)


class TestOptions:
    """What the options of the arithmetic decide. That both engines compute it alike is in test_kernel.py."""

    @pytest.mark.parametrize(("name", "kind"), [("compiled", CompiledEngine), ("numpy", NumPyEngine)])
    def test_an_engine_by_its_name(self, name: str, kind: type) -> None:
        weights = network(epochs=1).fit(TRAIN).weights_

        for rule in ("backprop", "notebook"):
            assert isinstance(make_engine(name, weights, loss="cross_entropy", rule=rule), kind)
        with pytest.raises(InvalidInputError, match=r"^engine is 'gpu'; allowed: compiled or numpy$"):
            make_engine("gpu", weights, loss="cross_entropy")

    def test_biases_are_trained_from_zero(self) -> None:
        # Given samples without any feature, so that the first layer has nothing but its biases to learn with
        X, y = np.zeros((40, 3)), np.repeat([0, 1], [30, 10])

        def biases(learning_rate: float) -> list[np.ndarray]:
            options = {"dtype": "float64", "epochs": 1, "learning_rate": learning_rate}
            tensors = network(biases=True, **options).fit(X, y).weights_.tensors
            return [tensors[name] for name in ("b1", "b2", "b3")]

        # Then they move all, and by as little as the learning rate is small
        assert all(np.abs(b).min() > 0 for b in biases(0.1))
        assert all(np.abs(b).max() < 1e-25 for b in biases(1e-30))
        assert not network(epochs=1).fit(X, y).weights_.has_biases

    def test_the_notebooks_rule_trains_no_biases(self) -> None:
        trained = network(biases=True, epochs=1).fit(TRAIN)

        trained.set_params(biases=False, rule="notebook")

        refusal = "biases is true; allowed: false together with rule notebook, whose update has no biases"
        with pytest.raises(InvalidInputError, match=refusal):
            trained.partial_fit(TRAIN)
        fresh = network(biases=True, rule="notebook")
        with pytest.raises(InvalidInputError, match=refusal):
            fresh.fit(TRAIN)
        assert not hasattr(fresh, "weights_")
        for engine in ("compiled", "numpy"):
            with pytest.raises(InvalidInputError, match=refusal):
                make_engine(engine, trained.weights_, loss="cross_entropy", rule="notebook")


class TestHistory:
    """What is known after each epoch."""

    def test_one_record_an_epoch(self) -> None:
        trained = network().fit(TRAIN, validation_set=VALIDATION)

        assert [record.epoch for record in trained.history_] == [1, 2, 3, 4]
        assert all(record.seconds > 0 for record in trained.history_)
        assert all(record.notebook_accuracy is None for record in trained.history_)
        assert trained.history_[-1].validation_accuracy == np.mean(trained.predict(VALIDATION) == VALIDATION.labels)
        # And a validation set of features and labels gives the same
        pair = (VALIDATION.to_dense(), VALIDATION.labels)
        assert without_time(network().fit(TRAIN, validation_set=pair).history_) == without_time(trained.history_)
        # Without one, there is no accuracy
        assert {record.validation_accuracy for record in network().fit(TRAIN).history_} == {None}

    def test_notebooks_rule_has_both_accuracies(self) -> None:
        trained = network(rule="notebook", learning_rate=0.001).fit(TRAIN, validation_set=VALIDATION)

        predictions = trained.predict(VALIDATION)
        assert trained.history_[-1].notebook_accuracy == notebook_accuracy(predictions, VALIDATION.labels, CLASSES)
        assert trained.history_[-1].validation_accuracy == np.mean(predictions == VALIDATION.labels)

    def test_validation_labels_are_translated(self) -> None:
        X, y = np.eye(3), np.array(["c", "a", "b"])
        trained = network(learning_rate=0.5, epochs=300)

        trained.fit(X, y, validation_set=(X, y))

        assert trained.history_[-1].validation_accuracy == 1.0
        with pytest.raises(InvalidInputError, match="y is 'd'; allowed: one of the 3 classes"):
            trained.fit(X, y, validation_set=(X, np.array(["a", "b", "d"])))

    def test_diverged_network_is_a_network(self) -> None:
        # Given weights that have become NaN
        broken = Weights(*(np.full_like(matrix, np.nan) for matrix in network().fit(TRAIN).weights_))
        history = (EpochRecord(1, 0.1, 0.5),)

        with pytest.warns(ConvergenceWarning, match="A weight is infinite or NaN after epoch 1"):
            trained = network().fit(TRAIN, validation_set=VALIDATION, resume_from=Checkpoint(broken, history))

        assert np.isnan(trained.weights_.W1).all()
        assert trained.predict(VALIDATION).tolist() == [0] * N
        # And it is not trained any further
        assert trained.history_ == list(history)
        with pytest.warns(ConvergenceWarning):
            trained.partial_fit(TRAIN)
        assert trained.history_ == list(history)

    def test_training_ends_with_the_epoch_in_which_a_weight_is_not_finite(self) -> None:
        # Given steps so large that two samples an epoch take two epochs to bring the first NaN
        huge, seen = {"learning_rate": 3e38, "random_state": 27}, []
        with pytest.warns(ConvergenceWarning, match="after epoch 2"):
            trained = network(**huge).fit(
                TRAIN.first(2), validation_set=VALIDATION, callback=lambda it: seen.append(len(it.history_))
            )

        assert seen == [1, 2]
        assert len(trained.history_) == 2
        assert trained.history_[-1].validation_accuracy == np.mean(VALIDATION.labels == 0)
        assert not trained.weights_.is_finite
        assert network(**huge, epochs=1).fit(TRAIN.first(2)).weights_.is_finite


class TestCallback:
    """A callback sees the training as it stands, may steer it, and may end it."""

    def test_it_sees_every_epoch_as_shorter_training_would_have_left_it(self) -> None:
        seen: list[tuple[int, bytes]] = []

        network().fit(TRAIN, callback=lambda it: seen.append((len(it.history_), bits(it))))

        assert seen == [(epochs, bits(network(epochs=epochs).fit(TRAIN))) for epochs in (1, 2, 3, 4)]

    def test_its_exception_ends_training_at_the_epochs_end(self) -> None:
        stopped = network()
        with pytest.raises(LookupError):
            stopped.fit(TRAIN, callback=Mock(side_effect=[None, LookupError]))

        assert bits(stopped) == bits(network(epochs=2).fit(TRAIN))
        assert stopped.checkpoint().epochs == 2

    def test_it_may_end_the_training_and_change_the_learning_rate(self) -> None:
        steered = network().fit(TRAIN, callback=lambda it: it.set_params(epochs=2, learning_rate=0.001))

        first = network(epochs=1).fit(TRAIN)
        by_hand = network(epochs=2, learning_rate=0.001).fit(TRAIN, resume_from=first.checkpoint())
        assert len(steered.history_) == 2
        assert bits(steered) == bits(by_hand)

    def test_the_notebooks_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        trained = network()
        histories = [
            [EpochRecord(1, 74.691, 0.1, 5.8)],
            [EpochRecord(1, 74.691, 0.1, 5.8), EpochRecord(2, 75.0, 0.1, 10.5)],
            [EpochRecord(1, 0.151, 0.97352)],
            [EpochRecord(1, 0.151)],
        ]
        for trained.history_ in histories:
            print_epoch(trained)

        assert capsys.readouterr().out.splitlines() == [
            "Epoch: 1, Time Spent: 74.69s, Accuracy: 5.8",
            "Epoch: 2, Time Spent: 149.69s, Accuracy: 10.5",
            "Epoch: 1, Time Spent: 0.15s, Accuracy: 97.352",
            "Epoch: 1, Time Spent: 0.15s",
        ]


class TestResume:
    """Stopped and resumed, or one epoch at a time: the same bits as in one go."""

    @pytest.mark.parametrize(
        "options", [{}, {"shuffle": True}, {"rule": "notebook", "shuffle": True}, {"biases": True, "shuffle": True}]
    )
    def test_from_each_epoch(self, options: dict[str, object]) -> None:
        whole = network(**options).fit(TRAIN, validation_set=VALIDATION)
        for done in (1, 2, 3, 4):
            checkpoint = network(epochs=done, **options).fit(TRAIN, validation_set=VALIDATION).checkpoint()
            before = to_safetensors(checkpoint.weights)
            called: list[int] = []

            resumed = network(**options).fit(
                TRAIN,
                validation_set=VALIDATION,
                resume_from=checkpoint,
                callback=lambda it, called=called: called.append(len(it.history_)),
            )

            assert bits(resumed) == bits(whole)
            assert without_time(resumed.history_) == without_time(whole.history_)
            assert tuple(resumed.history_[:done]) == checkpoint.history
            assert called == list(range(done + 1, 5))
            # And the checkpoint can be used again
            assert to_safetensors(checkpoint.weights) == before
            assert checkpoint.epochs == done

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_partial_fit_is_one_epoch(self, shuffle: bool) -> None:
        whole = network(shuffle=shuffle).fit(TRAIN)
        from_samples, from_matrix = network(shuffle=shuffle), network(shuffle=shuffle)

        for _ in range(4):
            from_samples.partial_fit(TRAIN)
            from_matrix.partial_fit(TRAIN.to_dense(), TRAIN.labels, classes=np.arange(CLASSES))

        assert bits(from_samples) == bits(from_matrix) == bits(whole)
        assert len(from_samples.history_) == 4
        # And it goes on after fit
        assert bits(network(shuffle=shuffle, epochs=3).fit(TRAIN).partial_fit(TRAIN)) == bits(whole)


class TestRefusals:
    """What cannot be used is named, with its value and what is allowed."""

    @pytest.mark.parametrize(
        ("name", "value", "allowed"),
        [
            *[("hidden_layer_sizes", v, "two integers from 1 to 4096") for v in ((128,), (1.5, 2), "ab", 128)],
            *[("learning_rate", v, "a finite number greater than 0") for v in (0, float("nan"), "0.1", True)],
            *[("epochs", v, "an integer from 1 to 100000") for v in (0, 2.0, "10", True, None)],
            *[("loss", v, "cross_entropy or sum_of_squares") for v in ("mse", None, ["cross_entropy"])],
            ("dtype", np.float32, "float32 or float64"),
            *[("shuffle", v, "true or false") for v in (1, "yes", None)],
            *[("random_state", v, "an integer from 0 to 4294967295") for v in (-1, 2**32)],
        ],
    )
    def test_parameter(self, name: str, value: object, allowed: str) -> None:
        for train_with in ("fit", "partial_fit"):
            with pytest.raises(InvalidInputError) as refused:
                getattr(DeepNeuralNetwork(**{name: value}), train_with)([[1.0], [2.0]], [0, 1])

            assert str(refused.value).startswith(f"{name} is {value!r}; allowed: ")
            assert allowed in str(refused.value)
            assert isinstance(refused.value, ValueError)

    def test_numpys_numbers_are_numbers(self) -> None:
        ours = network(hidden_layer_sizes=[np.int64(8), np.uint8(4)], learning_rate=np.float32(0.5), shuffle=np.True_)
        same = network(hidden_layer_sizes=(8, 4), learning_rate=0.5, shuffle=True)

        ours.set_params(random_state=np.int64(7), epochs=np.int32(4))
        assert bits(ours.fit(TRAIN)) == bits(same.fit(TRAIN))

    def test_partial_fit_needs_the_classes_and_keeps_them(self) -> None:
        X = np.eye(2)
        fresh = network()

        with pytest.raises(InvalidInputError, match="classes is None; allowed: all labels, on the first call"):
            fresh.partial_fit(X, [0, 1])
        with pytest.raises(InvalidInputError, match="y is 2; allowed: one of the 2 classes"):
            fresh.partial_fit(X, [0, 2], classes=[0, 1])
        trained = network().partial_fit(X, [0, 0], classes=[1, 0])
        assert trained.classes_.tolist() == [0, 1]
        with pytest.raises(InvalidInputError, match=r"classes is \[0, 1, 2\]; allowed: the same"):
            trained.partial_fit(X, [0, 1], classes=[0, 1, 2])

    def test_checkpoint_of_another_network(self) -> None:
        four = network().fit(TRAIN).checkpoint()

        for other, expected in (
            ({"epochs": 3}, "resume_from is '4 epochs'; allowed: at most 3"),
            ({"hidden_layer_sizes": (6, 4)}, r"resume_from is 'W2 of \(5, 6\), float32'; allowed: \(4, 6\)"),
            ({"dtype": "float64"}, r"resume_from is 'W1 of .* float32'; allowed: \(6, 12\), float64"),
            ({"biases": True}, "resume_from is a checkpoint of W1, W2, W3; allowed: W1, W2, W3, b1, b2, b3"),
        ):
            with pytest.raises(InvalidInputError, match=expected):
                network(**other).fit(TRAIN, resume_from=four)


def test_a_subclass_may_have_parameters_of_its_own() -> None:
    class Named(DeepNeuralNetwork):
        def __init__(self, name: str = "") -> None:
            super().__init__(HIDDEN, engine="numpy", epochs=1, random_state=7)
            self.name = name

        def get_params(self, deep: bool = True) -> dict[str, object]:
            return network(epochs=1).get_params(deep) | {"name": self.name}

    assert bits(Named("mine").fit(TRAIN)) == bits(network(epochs=1).fit(TRAIN))
