"""The model of a sweep's sampling: its fields are words of a specification, with their help."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from nn.options.network import Seed

#: The most configurations of a sampler: their values are part of a sweep's description.
MAX_SAMPLES = 10_000


class Sampling(BaseModel):
    """How the configurations of a sweep are chosen, where they are not a grid.

    With `random`, all are drawn before the sweep begins. With `optuna`, they are asked for in batches, each after the
    results of the batches before it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: Literal["random", "optuna"] = Field(
        description="Sample configurations from the options' values and ranges, instead of training each combination"
    )
    samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = Field(
        description="Number of configurations that a sampler draws."
    )
    sampler_seed: Seed = Field(default=0, description="The seed of a sampler.")
    sampler_batch: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] | None = Field(
        default=None,
        description="Configurations that Optuna is asked for at once.  [default: as many as keep every process busy]",
    )
