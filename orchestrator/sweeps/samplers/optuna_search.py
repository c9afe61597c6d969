"""Optuna's search: it asks for configurations, and is told what those before were worth.

Optuna keeps nothing. Each batch is asked for by a new study, which gets all earlier configurations with their values,
and a seed that follows from the sampler's seed and their number. So a batch is a function of the seed and of the
results before it, and a sweep that was killed goes on as it would have.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from orchestrator.errors import MissingPackageError
from orchestrator.sweeps.samplers.space import Point, Space, range_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Trial:
    """A configuration that was asked for earlier.

    Attributes:
        point: Its values of the options that vary.
        value: What it was worth, the higher the better; None if it has no value, because a job of it failed.
    """

    point: Point
    value: float | None


def load() -> ModuleType:
    """Return Optuna, which tells nothing on its own.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingPackageError(
            "--sampler optuna needs the package Optuna: pip install 'seedsweep[optuna]', or "
            "pip install --require-hashes -r requirements-optuna.txt in a checkout"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def ask(
    space: Space, earlier: Sequence[Trial], count: int, seed: int, *, is_integer: Callable[[str], bool]
) -> tuple[Point, ...]:
    """Ask Optuna's `TPESampler` for configurations; it may ask for one again.

    Args:
        space: The values of each option.
        earlier: All configurations asked for so far, in that order.
        count: The number of configurations, asked for one after another without a value in between.
        seed: The sampler's seed.
        is_integer: Returns whether an option is an integer.

    Raises:
        MissingPackageError: Optuna is not installed.
    """
    optuna = load()
    axes = {name: _Axis(values, integers=is_integer(name)) for name, values in space.items()}
    distributions = {name: axis.distribution() for name, axis in axes.items()}
    own_seed = random.Random(f"{seed}, {len(earlier)}").getrandbits(31)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=own_seed))
    for trial in earlier:
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.FAIL if trial.value is None else optuna.trial.TrialState.COMPLETE,
                params={name: axes[name].encode(value) for name, value in trial.point.items()},
                distributions=distributions,
                value=trial.value,
            )
        )
    asked = [study.ask(distributions).params for _ in range(count)]
    return tuple({name: axes[name].decode(params[name]) for name in space} for params in asked)


class _Axis:
    """One option's values, as Optuna takes them: a range of numbers, or the positions in a list."""

    def __init__(self, values: tuple[Any, ...], *, integers: bool) -> None:
        self._values = values
        self._integers = integers
        self._range = range_of(values)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self._range is None:
            return CategoricalDistribution(range(len(self._values)))
        is_log = self._range.kind == "log"
        if self._integers:
            return IntDistribution(int(self._range.low), int(self._range.high), log=is_log)
        return FloatDistribution(self._range.low, self._range.high, log=is_log)

    def encode(self, value: Any) -> Any:
        return self._values.index(value) if self._range is None else value

    def decode(self, value: Any) -> Any:
        if self._range is None:
            return self._values[value]
        return int(value) if self._integers else self._range.clip(float(value))
