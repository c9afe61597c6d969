"""What every command that extends a sweep does: it adds its round once, and then gives every job its row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from orchestrator.commands.plan import SweepPlan
from orchestrator.commands.sweep import registered
from orchestrator.folder.rows import Row
from orchestrator.interruption import Interruption
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.rounds import Kind, Look, Round


class MakeRound(Protocol):
    """Makes the round of a command, in the same way for the same sweep and rows."""

    def __call__(self, manifest: Manifest, rows: Mapping[str, Row]) -> Round | None:
        """Return the round; None if the sweep has it already, so that the command goes on with it.

        Args:
            manifest: The sweep.
            rows: The rows of its jobs, by key.

        Raises:
            InvalidInputError: the sweep cannot be extended in this way.
        """


@dataclass(frozen=True)
class GrowthPlan(SweepPlan):
    """What a command is about to do with a sweep that it extends.

    Attributes:
        make_round: Makes the command's round. It is asked again once the folder is locked, because another process may
            have extended the sweep since the plan was made.
    """

    make_round: MakeRound

    def grow(self) -> bool:
        """Add the round to the sweep, on its cluster and in its folder; the caller holds the folder's lock.

        Returns:
            Whether the sweep did not have the round before.

        Raises:
            InvalidInputError: the sweep cannot be extended any longer as it was planned.
            SweepExistsError: another session has extended the sweep in another way.
        """
        manifest = registered(self.place, self.folder.manifest())
        rows = self.folder.rows_of(manifest.jobs_by_key())
        further = self.make_round(manifest, rows)
        if further is not None:
            manifest = manifest.with_round(further, look(further.kind, rows))
            if self.place.cluster is not None:
                # First there, where another session may forestall it. What is only there goes on by `--resume`, too.
                manifest = self.place.cluster.registry.register(manifest)
        self.folder.write_manifest(manifest.model_copy(update={"resumed": [*manifest.resumed, provenance()]}))
        return further is not None


def planned(plan: SweepPlan, make_round: MakeRound) -> GrowthPlan:
    """Return the plan of a command that extends the sweep of another plan, after it has been tried.

    Raises:
        InvalidInputError: the sweep cannot be extended in this way.
    """
    rows = plan.folder.rows_of(plan.jobs)
    further = make_round(plan.manifest, rows)
    if further is not None:
        plan.manifest.with_round(further, look(further.kind, rows))
    return GrowthPlan(plan.folder, plan.manifest, plan.jobs, plan.place, plan.resuming, make_round)


def look(command: Kind, rows: Mapping[str, Row]) -> Look | None:
    """Return what can have been seen of a sweep's results; None if it has none."""
    seeds = [row.seed for row in rows.values() if row.accepted]
    return Look(command=command, seeds=len(set(seeds)), rows=len(seeds)) if seeds else None


@contextlib.contextmanager
def begin(plan: GrowthPlan, interruption: Interruption | None = None) -> Iterator[Session]:
    """Extend the sweep, and hold its lock while the block runs.

    Args:
        plan: From a command's `plan_` function.
        interruption: Defers signals while files are written; None where the caller handles no signals.

    Raises:
        SweepBusyError: another process works on the sweep.
        SweepExistsError: another session has extended the sweep in another way.
        InvalidInputError: the sweep cannot be extended any longer as it was planned.
        OutputError: the folder cannot be written.
    """
    interruption = interruption or Interruption()
    with plan.folder.exclusive():
        with interruption.shield():
            is_new = plan.grow()
        session = plan.session(interruption)
        # What the cluster has of jobs that are new to the sweep is the work of another one.
        session.resuming = not is_new
        yield session
