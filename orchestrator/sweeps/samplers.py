"""Samplers: they choose configurations from a space of options, in place of a grid.

Random search draws every configuration independently of the others and of their results. J. Bergstra and
Y. Bengio compare it with grids: "Random Search for Hyper-Parameter Optimization", Journal of Machine Learning Research
13 (2012).

Optuna chooses configurations by the values of the earlier ones. It keeps no state: each batch comes from a new study,
which gets all earlier configurations with their values, and a seed that follows from the sampler's seed and their
number. So a batch depends only on the seed and the earlier results, and a sweep that was killed goes on as it would
have.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field

from nn.options.describe import Option
from nn.options.network import Seed
from orchestrator.errors import MissingPackageError
from orchestrator.sweeps.axes import Range, RefusedError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

#: The most configurations of a sampler: their values are part of a sweep's description.
MAX_SAMPLES = 10_000
#: The most configurations that Optuna is asked for at once, and the most values of a list that it chooses from: it
#: computes with all pairs of configurations, and of configurations and values.
MAX_ASKED = 1_000
#: Draws give up after so many for each configuration, and after so many in vain for each that was found: if all have
#: about the same probability, hardly another one is left then.
_TRIES = 100

#: The values of the options that vary, by option.
Point = dict[str, Any]


class Sampling(BaseModel, frozen=True, extra="forbid"):
    """How the configurations of a sweep are chosen: its fields are words of a specification, with their help.

    With `random`, all are drawn before the sweep begins. With `optuna`, they are asked for in batches, each after the
    results of the batches before it.
    """

    sampler: Literal["random", "optuna"] = Field(
        description="Sampler that chooses configurations, instead of training every combination"
    )
    samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = Field(
        description="Number of configurations that the sampler chooses."
    )
    sampler_seed: Seed = Field(default=0, description="Seed of the sampler.")
    sampler_batch: Annotated[int | None, Option(none="as many as keep every process busy")] = Field(
        default=None, ge=1, le=MAX_ASKED, description="Number of configurations that Optuna is asked for at once."
    )


class Dimension:
    """The values of one option that a sampler chooses from.

    Args:
        values: A list of values, or one range without a number of points, which stands for all numbers in it.
        integers: Whether the option is an integer.
    """

    def __init__(self, values: tuple[Any, ...], *, integers: bool) -> None:
        self._values = values
        self._known = frozenset(values)
        self._integers = integers
        self._range: Range | None = values[0] if isinstance(values[0], Range) else None
        #: Shares in ascending order: the first and the last one that led to a number, and the number.
        self._led: list[tuple[float, float, Any]] = []

    def __contains__(self, value: Any) -> bool:
        """Return whether a sampler may choose a value."""
        return value in self._known if self._range is None else self._range.low <= value <= self._range.high

    def at(self, share: float) -> Any:
        """Return the value at a share of the way, from 0 (included) to 1 (excluded): equal shares for each value."""
        if self._range is None:
            return self._values[int(share * len(self._values))]
        # Numbers rise with their shares, and working out a repeated one takes much longer than finding it.
        place = bisect.bisect_left(self._led, share, key=lambda each: each[1])
        if place < len(self._led) and self._led[place][0] <= share:
            return self._led[place][2]
        number = self._range.at(share, integers=self._integers)
        first, last = place, place
        if place and self._led[place - 1][2] == number:
            first -= 1
        elif place < len(self._led) and self._led[place][2] == number:
            last += 1
        spans = [(share, share, number), *self._led[first:last]]
        self._led[first:last] = [(min(each[0] for each in spans), max(each[1] for each in spans), number)]
        return number

    def distribution(self) -> BaseDistribution:
        """Return the dimension as Optuna takes it: a range of numbers, or the positions in a list."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self._range is None:
            return CategoricalDistribution(range(len(self._values)))
        is_log = self._range.kind == "log"
        if self._integers:
            return IntDistribution(int(self._range.low), int(self._range.high), log=is_log)
        return FloatDistribution(self._range.low, self._range.high, log=is_log)

    def encode(self, value: Any) -> Any:
        """Return a value as Optuna knows it."""
        return self._values.index(value) if self._range is None else value

    def decode(self, value: Any) -> Any:
        """Return the value that Optuna means."""
        if self._range is None:
            return self._values[value]
        return int(value) if self._integers else self._range.clip(float(value))


#: A configuration that was asked for earlier, with its value, the higher the better; None if one of its jobs failed.
Trial = tuple[Point, float | None]
#: The dimension of each option that varies.
Space = Mapping[str, Dimension]


def draw(space: Space, count: int, seed: int) -> tuple[Point, ...]:
    """Draw different configurations: values of a list with equal probability, numbers of a range by its kind.

    The stream is that of `random.Random(seed).random()`, which Python keeps from version to version. A configuration
    takes one number of it per option, in the order of the space; repeated configurations are skipped.

    Args:
        space: The values of each option.
        count: The number of configurations.
        seed: The seed of the stream.

    Raises:
        RefusedError: the space has fewer configurations, or some that are hardly ever drawn.
    """
    stream = random.Random(seed)
    drawn: dict[tuple[Any, ...], Point] = {}
    in_vain = 0
    for _ in range(_TRIES * (count + 10)):
        point = {name: dimension.at(stream.random()) for name, dimension in space.items()}
        in_vain = 0 if drawn.setdefault(tuple(point.values()), point) is point else in_vain + 1
        if len(drawn) == count:
            return tuple(drawn.values())
        if in_vain == _TRIES * (len(drawn) + 10):
            break
    raise RefusedError(f"at most {len(drawn)}, the number of configurations that draws give")


def ask(space: Space, earlier: Sequence[Trial], count: int, seed: int) -> tuple[Point, ...]:
    """Ask Optuna's `TPESampler` for configurations; it may repeat one.

    Args:
        space: The values of each option.
        earlier: All configurations asked for so far, in that order.
        count: The number of configurations, asked for one after another without a value in between.
        seed: The sampler's seed.

    Raises:
        MissingPackageError: Optuna is not installed.
    """
    MissingPackageError.check("--sampler optuna", "optuna")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {name: dimension.distribution() for name, dimension in space.items()}
    own_seed = random.Random(f"{seed}, {len(earlier)}").getrandbits(31)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=own_seed))
    for point, value in earlier:
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE,
                params={name: space[name].encode(each) for name, each in point.items()},
                distributions=distributions,
                value=value,
            )
        )
    asked = [study.ask(distributions).params for _ in range(count)]
    return tuple({name: dimension.decode(params[name]) for name, dimension in space.items()} for params in asked)
