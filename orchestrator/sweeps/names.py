"""Names the jobs of a sweep by what varies among them: their seeds and some of their options."""

import shlex
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from nn.options.describe import digits_of, heading, pair, shown
from orchestrator.text import listed
from worker.job import Job
from worker.text import one_line
from worker.trainers.protocol import Metric


class JobNames:
    """The names of a sweep's jobs.

    Args:
        jobs: The sweep's jobs.
        axes: Options that vary in the sweep, even if these jobs all have one value, as in a first batch.
        metric: What counts; None for the trainer's own metric.

    Attributes:
        varying: The values of each option that varies, in the sweep's order.
        common: The value of each option that all jobs share.
    """

    def __init__(self, jobs: Collection[Job], axes: Collection[str] = (), metric: Metric | None = None) -> None:
        models = dict.fromkeys(type(job.options) for job in jobs)
        #: The model of the options that all jobs have; if the models differ, that of the first job.
        self.model = next(iter(models))
        #: The trainer's own metric, and the one that counts.
        self.own_metric = next(iter(jobs)).metric
        self.metric = metric or self.own_metric
        fields = [name for name in self.model.model_fields if all(name in each.model_fields for each in models)]
        values = {name: tuple(dict.fromkeys(getattr(job.options, name) for job in jobs)) for name in fields}
        varying = {name: each for name, each in values.items() if len(each) > 1 or name in axes}
        self.varying: Mapping[str, tuple[Any, ...]] = varying
        self.common: Mapping[str, Any] = {name: each[0] for name, each in values.items() if name not in varying}
        self._digits = {name: digits_of(each) for name, each in self.varying.items()}

    def shown(self, name: str, value: object) -> str:
        """Return an option's value as tables and sentences show it. No two look alike; an empty one is two quotes."""
        return shown(self.model.model_fields[name], value, self._digits.get(name)) or '""'

    def configuration(self, options: BaseModel | Mapping[str, Any]) -> str:
        """Return the options that vary with their values: `learning rate 0.1`. Empty if none varies.

        Args:
            options: A job's options, or only those that vary.
        """
        return ", ".join(self._parts(options))

    def phrase(self, options: BaseModel) -> str:
        """Return the same for a sentence: `learning rate 0.1 with hidden layers 32,16`."""
        first, *others = self._parts(options)
        return f"{first} with {listed(others, 'and')}" if others else first

    def _parts(self, options: BaseModel | Mapping[str, Any]) -> list[str]:
        values = options if isinstance(options, Mapping) else dict(options)
        return [f"{heading(self.model, name)} {self.shown(name, values[name])}" for name in self.varying]

    def value(self, options: BaseModel) -> str:
        """Return the values of the options that vary, without their names: `0.1`."""
        return ", ".join(self.shown(name, getattr(options, name)) for name in self.varying)

    def words(self, options: BaseModel) -> str:
        """Return the words of `picking` as one types them: `learning_rate=0.1 hidden=32,16`."""
        return one_line(shlex.join(self.picking(options)))

    def picking(self, options: BaseModel) -> list[str]:
        """Return the options that vary as words that pick a configuration's jobs."""
        return [pair(self.model, name, getattr(options, name), self._digits[name]) for name in self.varying]

    def job(self, seed: int, options: BaseModel) -> str:
        """Return a job's seed and the options that vary: `seed 3, learning rate 0.1`."""
        return ", ".join(filter(None, (f"seed {seed}", self.configuration(options))))
