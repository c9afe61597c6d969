"""Specifications for tests, by the words of the command line."""

from __future__ import annotations

from typing import Any

from orchestrator.sweeps.fields import specification
from orchestrator.sweeps.specification import SweepSpecification


def sweep_of(**words: Any) -> SweepSpecification:
    """Return the specification with these checked values: `sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=1)`."""
    return specification(words)
