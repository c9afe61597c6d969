"""What a sweep is: a specification in the user's words, and the ordered jobs that it stands for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from worker.job import DType, EngineName, Job, Loss, Rule

#: The most jobs one sweep may have: more is nearly always a slip of the keyboard, and takes a night to list.
MAX_JOBS = 100_000


class SweepSpecification(BaseModel):
    """A sweep as its user describes it; `orchestrator.sweeps.fields.specification` makes one from flags or a TOML file.

    Attributes:
        seeds: One job each, for every learning rate: the same seeds everywhere, so that comparisons are paired.
        learning_rates: One configuration each.
        epochs: Passes over the training samples.
        hidden: Widths of the two hidden layers.
        limit: Train on the first so many samples only; None for all.
        data: Where the data set comes from: `bundled`, `openml`, or a folder's absolute path.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    learning_rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    epochs: int = 10
    hidden: tuple[int, int] = (128, 64)
    loss: Loss = "cross_entropy"
    rule: Rule = "backprop"
    engine: EngineName = "compiled"
    dtype: DType = "float32"
    shuffle: bool = False
    limit: int | None = None
    data: str = "bundled"

    @property
    def size(self) -> int:
        """How many jobs the sweep has."""
        return len(self.seeds) * len(self.learning_rates)

    def jobs(self, dataset: str) -> list[Job]:
        """Return the jobs on the data set of this digest, seed by seed.

        All learning rates of the first seed come first: however early a sweep ends, its configurations were trained
        under nearly the same seeds.
        """
        common = {
            "epochs": self.epochs,
            "hidden_layer_sizes": self.hidden,
            "rule": self.rule,
            "loss": self.loss,
            "dtype": self.dtype,
            "shuffle": self.shuffle,
            "engine": self.engine,
            "limit": self.limit,
            "dataset": dataset,
        }
        return [
            Job.parse({**common, "learning_rate": learning_rate, "seed": seed})
            for seed in self.seeds
            for learning_rate in self.learning_rates
        ]
