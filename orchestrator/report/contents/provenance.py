"""Provenance: what was run where, when, and with which versions."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.report.contents.parts import DataTable, Fact
from orchestrator.report.snapshot import Snapshot
from orchestrator.sweeps.provenance import Provenance

#: How many sessions are told of.
MOST_SESSIONS = 100


@dataclass(frozen=True)
class ProvenanceContent:
    """What the last section says.

    Attributes:
        facts: What holds for the whole sweep.
        sessions: A row for each session.
    """

    facts: tuple[Fact, ...]
    sessions: DataTable


def content(snapshot: Snapshot) -> ProvenanceContent:
    """Return what the last section says."""
    manifest, common = snapshot.manifest, snapshot.leaderboard.common
    version = "" if common.version is None else f", version {common.version}"
    facts = [
        Fact("Sweep", manifest.name),
        Fact("Trainer", f"{common.trainer}{version}"),
        Fact("Metric", common.metric),
        Fact("Data set", f"{manifest.specification.data}, SHA-256 {manifest.dataset}"),
    ]
    every = [manifest.provenance, *manifest.resumed]
    shown = every[:MOST_SESSIONS]
    note = f"{len(shown)} of {len(every)} sessions" if len(shown) < len(every) else ""
    headings = ("session began (UTC)", "host", "Python", "platform", "Git commit", "packages")
    return ProvenanceContent(tuple(facts), DataTable("Sessions", headings, [_session(each) for each in shown], note))


def _session(session: Provenance) -> tuple[str, ...]:
    packages = ", ".join(f"{name} {version}" for name, version in session.packages.items() if version is not None)
    if session.trainer_package is not None:
        packages = f"{packages}, trainer of {session.trainer_package}"
    return (session.created, session.host, session.python, session.platform, _commit(session), packages)


def _commit(session: Provenance) -> str:
    if session.git_commit is None:
        return "no checkout"
    return f"{session.git_commit[:12]}{', with changes' if session.git_dirty else ''}"
