"""The model of a sweep's sampling: its fields are words of a specification, with their help."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from nn.options.describe import Option
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
        description="Sampler that chooses configurations, instead of training every combination",
        examples=["random"],
    )
    samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = Field(
        description="Number of configurations that the sampler chooses.", examples=[30]
    )
    sampler_seed: Seed = Field(default=0, description="Seed of the sampler.", examples=[0])
    sampler_batch: Annotated[int | None, Option(none="as many as keep every process busy")] = Field(
        default=None,
        ge=1,
        le=MAX_SAMPLES,
        description="Number of configurations that Optuna is asked for at once.",
        examples=[8],
    )
