"""Names the jobs of a sweep by what varies among them: their seeds and some of their options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nn.options.describe import digits_of, heading, shown
from nn.options.network import NetworkOptions
from worker.job import Job

_FIELDS = NetworkOptions.model_fields


class JobNames:
    """The names of a sweep's jobs.

    Args:
        jobs: The sweep's jobs.
        axes: Options that vary in the sweep, even where these jobs all have one value, as those of a first batch may.

    Attributes:
        varying: The values of each option that varies, in the sweep's order.
        common: The value of each option that all jobs share.
    """

    def __init__(self, jobs: Collection[Job], axes: Collection[str] = ()) -> None:
        values = {name: tuple(dict.fromkeys(getattr(job, name) for job in jobs)) for name in _FIELDS}
        varying = {name for name, each in values.items() if len(each) > 1 or name in axes}
        self.varying: Mapping[str, tuple[Any, ...]] = {name: values[name] for name in _FIELDS if name in varying}
        self.common: Mapping[str, Any] = {name: values[name][0] for name in _FIELDS if name not in varying}
        self._digits = {name: digits_of(each) for name, each in self.varying.items()}

    def shown(self, name: str, value: object) -> str:
        """Return an option's value as tables and sentences show it: no two values of the sweep look alike."""
        return shown(_FIELDS[name], value, self._digits.get(name))

    def configuration(self, options: NetworkOptions, *, short: bool = False) -> str:
        """Return the options that vary with their values: `learning rate 0.1`. Empty if none varies.

        Args:
            options: A job or its options.
            short: Whether to shorten each heading to its last word, for a narrow terminal.
        """
        return ", ".join(
            f"{_heading(name, short=short)} {self.shown(name, getattr(options, name))}" for name in self.varying
        )

    def job(self, seed: int, options: NetworkOptions, *, short: bool = False) -> str:
        """Return a job's seed and the options that vary: `seed 3, learning rate 0.1`. Arguments: as `configuration`."""
        return ", ".join(filter(None, (f"seed {seed}", self.configuration(options, short=short))))


def _heading(name: str, *, short: bool) -> str:
    words = heading(NetworkOptions, name)
    return words.split()[-1] if short else words
