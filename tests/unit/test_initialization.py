"""How weights start: draws against NumPy's and against exact arithmetic, and each scheme against its formula."""

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn import DeepNeuralNetwork
from nn.initialization import log, standard_normal
from nn.options.network import Initialization
from nn.samples import pack
from nn.weights import initial_weights, to_safetensors

#: Numbers of which the first, fast part of the algorithm cannot tell to which side the logarithm is rounded.
UNDECIDED = [
    float.fromhex(text)
    for text in ("0x1.d2c8d81a371bfp-1", "0x1.9065319a6ada2p-2", "0x1.aca8d9e4006b8p-3", "0x1.fe9245f454a54p-1")
]


def exact_logs(x: np.ndarray) -> list[float]:
    return [float(Decimal(each).ln(Context(prec=80))) for each in x.tolist()]


class TestLogarithm:
    def test_each_interval_and_both_of_its_ends_and_near_one_and_near_zero(self) -> None:
        ends = np.arange(256, 512) / 512
        within = [ends, np.nextafter(ends, 1), np.nextafter(ends, 0), ends * 2.0**-30, ends * 2.0**-1060]
        near_one = 1 - np.concatenate([np.arange(1, 100) * 2.0**-53, 2.0 ** -np.arange(1.0, 53)])
        x = np.concatenate([*within, near_one, 2.0 ** -np.arange(1.0, 1075), [5e-324, 2.2e-308, 3e-320]])

        assert log(x).tolist() == exact_logs(x)

    @given(st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=1, max_size=20))
    def test_any_number_between_zero_and_one(self, numbers: list[float]) -> None:
        x = np.array(numbers)

        assert log(x).tolist() == exact_logs(x)

    def test_a_rounding_that_needs_more_digits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        computed: list[float] = []

        class Counting(Decimal):
            def ln(self, context: Context | None = None) -> Decimal:
                computed.append(float(self))
                return Decimal(self).ln(context)

        log(np.array([0.5]))  # its tables are made by now
        monkeypatch.setattr("nn.initialization.Decimal", Counting)
        x = np.array([0.3, *UNDECIDED, 0.7])

        assert log(x).tolist() == exact_logs(x)
        assert computed == UNDECIDED

    def test_the_c_librarys_logarithm_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("log", "log1p", "log2", "exp"):
            monkeypatch.setattr(np, name, None)
            monkeypatch.setattr(math, name, None)

        assert standard_normal(np.random.RandomState(0), 3).round(6).tolist() == [1.764052, 0.400157, 0.978738]


class TestStandardNormal:
    def test_draws_are_numpys_but_for_the_last_bit_of_a_few(self) -> None:
        theirs, ours = np.random.RandomState(0).randn(200_000), standard_normal(np.random.RandomState(0), 200_000)

        np.testing.assert_array_max_ulp(ours, theirs, maxulp=2)
        assert np.mean(ours != theirs) < 0.001
        assert np.array_equal(ours.astype("float32"), theirs.astype("float32"))

    def test_each_draw_is_the_polar_methods_with_every_operation_rounded(self) -> None:
        """Worked out from the generator's raw numbers in fractions, each result rounded to the nearest double."""
        random = np.random.RandomState(3)
        expected: list[float] = []
        while len(expected) < 200:
            x1, x2 = (2 * Fraction(u) - 1 for u in random.random_sample(2))
            r2 = float(Fraction(float(x1 * x1)) + Fraction(float(x2 * x2)))
            if 0 < r2 < 1:
                (logarithm,) = exact_logs(np.array([r2]))
                ratio = float(Fraction(-2 * logarithm) / Fraction(r2))
                factor = Fraction(float(Decimal(ratio).sqrt(Context(prec=80))))
                expected += [float(factor * x2), float(factor * x1)]

        assert standard_normal(np.random.RandomState(3), 200).tolist() == expected

    @pytest.mark.parametrize("sizes", [(0,), (1,), (1, 0, 1), (3, 4, 1), (10_001, 7), (2, 2)])
    def test_the_generator_is_left_as_randn_leaves_it(self, sizes: tuple[int, ...]) -> None:
        ours, theirs = np.random.RandomState(5), np.random.RandomState(5)
        for size in sizes:
            np.testing.assert_array_max_ulp(standard_normal(ours, size), theirs.randn(size), maxulp=2)

        left, expected = ours.get_state(legacy=False), theirs.get_state(legacy=False)
        assert np.array_equal(left["state"]["key"], expected["state"]["key"])
        assert (left["state"]["pos"], left["has_gauss"]) == (expected["state"]["pos"], expected["has_gauss"])
        np.testing.assert_array_max_ulp(np.array(left["gauss"]), np.array(expected["gauss"]), maxulp=2)
        assert ours.randint(2**32, dtype=np.uint32) == theirs.randint(2**32, dtype=np.uint32)
        # So is one of another kind.
        ours, theirs = (np.random.RandomState(np.random.PCG64(1)) for _ in range(2))
        np.testing.assert_array_max_ulp(standard_normal(ours, 101), theirs.randn(101), maxulp=2)
        assert ours.random_sample() == theirs.random_sample()

    @pytest.mark.slow(reason="draws the weights of 3,000 networks twice")
    def test_float32_weights_are_those_of_randn_under_3000_seeds(self) -> None:
        n = 128 * 784 + 64 * 128 + 10 * 64
        for seed in range(3000):
            theirs, ours = np.random.RandomState(seed).randn(n), standard_normal(np.random.RandomState(seed), n)
            # Scaled, because the rounding to float32 comes after it.
            for rows, part in ((128, slice(128 * 784)), (64, slice(128 * 784, -640)), (10, slice(-640, None))):
                scale = np.sqrt(1.0 / rows)
                assert np.array_equal((ours[part] * scale).astype("f4"), (theirs[part] * scale).astype("f4")), seed


#: Each scheme's variance for a matrix of 200 x 50.
VARIANCES = {"notebook": 1 / 200, "lecun": 1 / 50, "glorot": 2 / 250, "he": 2 / 50}


def drawn(initialization: str, scale: float = 1.0, seed: int = 7) -> np.ndarray:
    random_state = np.random.RandomState(seed)
    sizes = (50, 200, 1, 1)
    return initial_weights(sizes, random_state, "float64", initialization=initialization, initial_scale=scale).W1


class TestSchemes:
    def test_all_are_tested_here(self) -> None:
        assert {name.removesuffix("_uniform") for name in get_args(Initialization)} == VARIANCES.keys()

    @pytest.mark.parametrize("name", [name for name in get_args(Initialization) if "uniform" not in name])
    def test_normal_ones(self, name: str) -> None:
        normal = standard_normal(np.random.RandomState(7), 10_000)

        assert np.array_equal(drawn(name).ravel(), normal * math.sqrt(VARIANCES[name]))
        assert drawn(name).var() == pytest.approx(VARIANCES[name], rel=0.05)
        # A normal distribution has a kurtosis of 3, and 4.55 % of it are beyond two standard deviations.
        assert np.mean(np.abs(drawn(name)) > 2 * math.sqrt(VARIANCES[name])) == pytest.approx(0.0455, abs=0.01)

    @pytest.mark.parametrize("name", [name for name in get_args(Initialization) if "uniform" in name])
    def test_uniform_ones_have_the_same_variance(self, name: str) -> None:
        variance = VARIANCES[name.removesuffix("_uniform")]
        limit = math.sqrt(3 * variance)
        raw = np.random.RandomState(7).random_sample(10_000)

        matrix = drawn(name)

        assert np.array_equal(matrix.ravel(), (2 * raw - 1) * limit)
        assert matrix.var() == pytest.approx(variance, rel=0.05)
        assert limit * 0.999 < np.abs(matrix).max() <= limit
        quarters, _ = np.histogram(matrix, bins=4, range=(-limit, limit))
        assert (np.abs(quarters - 2500) < 200).all()

    @pytest.mark.parametrize("name", get_args(Initialization))
    def test_the_scale_multiplies(self, name: str) -> None:
        assert np.array_equal(drawn(name, 4.0), 4 * drawn(name))
        np.testing.assert_allclose(drawn(name, 0.3), 0.3 * drawn(name), rtol=1e-15)

    def test_matrices_follow_each_other_on_one_stream(self) -> None:
        sizes = (5, 3, 3, 2)
        normal = standard_normal(np.random.RandomState(1), 15 + 9 + 6)
        weights = initial_weights(sizes, np.random.RandomState(1), "float64", initialization="lecun", initial_scale=2.0)

        parts = normal[:15].reshape(3, 5), normal[15:24].reshape(3, 3), normal[24:].reshape(2, 3)
        for matrix, part, columns in zip(weights, parts, sizes, strict=False):
            np.testing.assert_allclose(matrix, part * 2 / math.sqrt(columns), rtol=1e-15)


class TestNetwork:
    X = np.random.RandomState(0).rand(20, 6)
    y = np.arange(20) % 3

    def test_the_weights_are_the_schemes(self) -> None:
        scheme: dict[str, Any] = {"initialization": "glorot_uniform", "initial_scale": 0.5}
        expected = initial_weights((6, 5, 4, 3), np.random.RandomState(1), "float32", **scheme)
        # After one epoch of steps too small to see
        network = DeepNeuralNetwork((5, 4), learning_rate=1e-30, epochs=1, engine="numpy", random_state=1, **scheme)

        assert to_safetensors(network.fit(self.X, self.y).weights_) == to_safetensors(expected)

    def test_the_order_of_a_given_generator_follows_its_draws(self) -> None:
        """The seed of the orders is the generator's next number after the weights', in every scheme."""
        samples = pack(self.X, self.y, 3)
        for name, n_taken in (("notebook", None), ("he_uniform", 5 * 6 + 4 * 5 + 3 * 4)):
            random_state = np.random.RandomState(9)
            network = DeepNeuralNetwork(
                (5, 4), epochs=1, shuffle=True, engine="numpy", initialization=name, random_state=random_state
            ).fit(samples)
            same = np.random.RandomState(9)
            if n_taken is None:
                same.randn(62)
            else:
                same.random_sample(n_taken)
            assert network._order_seed == same.randint(2**32, dtype=np.uint32)
