"""What commands share of their options. Imports nothing, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass

#: The folder in which sweeps are kept, a folder each.
DEFAULT_OUTPUT = "runs"


@dataclass(frozen=True)
class SweepOptions:
    """What of `orchestrator sweep` does not describe the jobs."""

    spec: str | None
    name: str | None
    output: str
    broker: str | None
    workers: str | None
    resume: bool
    reuse: bool
    json: bool
