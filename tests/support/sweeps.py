"""Specifications for tests, by the words of the command line."""

from __future__ import annotations

from typing import Any

from orchestrator.sweeps.builder import specification
from orchestrator.sweeps.fields import flag, vocabulary
from orchestrator.sweeps.specification import SweepSpecification

FIELDS = vocabulary().words
parse = vocabulary().parse
typed = vocabulary().typed
value_of = vocabulary().value_of


def sweep_of(**words: Any) -> SweepSpecification:
    """Return the specification with these words: `sweep_of(seeds=(0, 1), learning_rates=(0.1,), epochs=1)`."""
    return specification(parse(words))


def flags_of(made: SweepSpecification) -> list[str]:
    """Return the flags of `orchestrator sweep` that say the same as a specification."""
    flags: list[str] = []
    for word, entry in FIELDS.items():
        value = value_of(made, word)
        if value is None:
            continue
        if entry.is_switch:
            flags += [flag(word) if on else f"--no-{flag(word)[2:]}" for on in value]
        else:
            flags += [part for text in typed(word, value) for part in (flag(word), text)]
    return flags
