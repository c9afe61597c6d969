"""What the whole page says, section by section."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents import accounting, network, provenance, reproduce, standings, verdict
from orchestrator.report.contents.accounting import AccountingContent
from orchestrator.report.contents.network import NetworkContent
from orchestrator.report.contents.provenance import ProvenanceContent
from orchestrator.report.contents.reproduce import ReproduceContent
from orchestrator.report.contents.standings import StandingsContent
from orchestrator.report.contents.verdict import VerdictContent


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


def contents(sweep: Sweep, portrait: NetworkContent | None = None) -> Page:
    """Return what the page of a sweep says.

    Args:
        sweep: The sweep.
        portrait: What it says of the winner's network (`network.content`); None where nobody has looked at it.
    """
    name, began_as = sweep.folder.name, sweep.manifest.name
    return Page(
        name=name,
        began_as="" if began_as == name else began_as,
        running=_running(sweep),
        verdict=verdict.content(sweep),
        standings=standings.content(sweep),
        accounting=accounting.content(sweep),
        network=portrait or network.without(sweep),
        reproduce=reproduce.content(sweep),
        provenance=provenance.content(sweep),
    )


def _running(sweep: Sweep) -> str:
    if sweep.finished:
        return ""
    return f"{len(sweep.rows)} of {len(sweep.jobs)} jobs have ended: the sweep runs, or was interrupted"
