"""Options that several modules share. Imports nothing that takes time, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass

#: The folder that holds the sweeps, one folder for each.
DEFAULT_OUTPUT = "runs"
#: The specification file that `orchestrator init` writes.
DEFAULT_SPECIFICATION = "sweep.toml"


@dataclass(frozen=True)
class SweepOptions:
    """The options of `orchestrator sweep` that do not describe the jobs, as they were typed."""

    spec: str | None
    name: str | None
    output: str
    broker: str | None
    workers: str | None
    resume: bool
    reuse: bool
    json: bool
    fixed: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()
    report: bool = False


@dataclass(frozen=True)
class GrowthOptions:
    """The options of a command that extends a sweep, as they were typed."""

    name: str
    output: str
    broker: str | None
    workers: str | None
    reuse: bool
    json: bool
