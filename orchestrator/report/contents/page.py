"""What the whole page says, section by section."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.report.contents import accounting, network, provenance, reproduce, standings, verdict
from orchestrator.report.contents.accounting import AccountingContent
from orchestrator.report.contents.network import NetworkContent
from orchestrator.report.contents.provenance import ProvenanceContent
from orchestrator.report.contents.reproduce import ReproduceContent
from orchestrator.report.contents.standings import StandingsContent
from orchestrator.report.contents.verdict import VerdictContent
from orchestrator.report.snapshot import Snapshot


@dataclass(frozen=True)
class Page:
    """What a page says.

    Attributes:
        name: The name of the sweep's folder, by which commands find the sweep.
        began_as: The name with which the sweep began, where its folder has been renamed; empty otherwise.
        running: What to say while jobs are missing: how many have ended; empty once all have.
    """

    name: str
    began_as: str
    running: str
    verdict: VerdictContent
    standings: StandingsContent
    accounting: AccountingContent
    network: NetworkContent
    reproduce: ReproduceContent
    provenance: ProvenanceContent


def contents(snapshot: Snapshot, portrait: NetworkContent | None = None) -> Page:
    """Return what the page of a sweep says.

    Args:
        snapshot: The sweep.
        portrait: What it says of the winner's network (`network.content`); None where nobody has looked at it.
    """
    name, began_as = snapshot.folder.name, snapshot.manifest.name
    return Page(
        name=name,
        began_as="" if began_as == name else began_as,
        running=_running(snapshot),
        verdict=verdict.content(snapshot),
        standings=standings.content(snapshot),
        accounting=accounting.content(snapshot),
        network=portrait or network.without(snapshot),
        reproduce=reproduce.content(snapshot),
        provenance=provenance.content(snapshot),
    )


def _running(snapshot: Snapshot) -> str:
    if snapshot.finished:
        return ""
    return f"{len(snapshot.rows)} of {len(snapshot.jobs)} jobs have ended: the sweep runs, or was interrupted"
