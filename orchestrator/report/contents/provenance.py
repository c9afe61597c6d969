"""Provenance: what was run where, when, and with which versions."""

from collections import Counter
from collections.abc import Iterable

from nn.options.describe import written
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.parts import DataTable, Fact
from orchestrator.sweeps.fields import seeds_as_text
from orchestrator.sweeps.provenance import Provenance
from orchestrator.text import counted, moment

#: Most sessions, rounds, and kinds of machines that are shown.
MOST_SESSIONS, MOST_ROUNDS, MOST_ENVIRONMENTS = 100, 20, 10


def sessions(sweep: Sweep) -> DataTable:
    """Return a row for each session."""
    every = [sweep.manifest.provenance, *sweep.manifest.resumed]
    headings = ("session began", "host", "Python", "platform", "Git commit", "packages")
    return DataTable.of("Sessions", headings, list(map(_session, every)), "session", MOST_SESSIONS)


def facts(sweep: Sweep) -> Iterable[Fact]:
    """Yield facts about the whole sweep."""
    manifest, board = sweep.manifest, sweep.leaderboard
    common, metric = board.common, board.names.metric
    seeds = {job.seed for job in sweep.jobs.values()}
    yield Fact("Sweep", sweep.name)
    yield Fact(
        "Jobs",
        f"{len(sweep.jobs)}, of {counted(len(board.standings), 'configuration')} and {counted(len(seeds), 'seed')}",
    )
    sampling = manifest.specification.sampling
    if sampling is not None:
        yield Fact("Sampler", f"{sampling.sampler}, {counted(sampling.samples, 'configuration')}")
    for round_ in manifest.rounds[:MOST_ROUNDS]:
        added = [f"seeds {seeds_as_text(round_.seeds)}"] if round_.seeds else []
        added += [f"{name} {', '.join(map(written, each))}" for name, each in round_.grid.items()]
        which = f" for {counted(len(round_.configurations), 'configuration')}" if round_.configurations else ""
        yield Fact(f"Extended by {round_.kind}", f"{', '.join(added)}{which}")
    if len(manifest.rounds) > MOST_ROUNDS:
        yield Fact("Extended", f"{len(manifest.rounds) - MOST_ROUNDS} times more")
    for gone in manifest.withdrawn[-MOST_ROUNDS:]:
        under = f" under seeds {seeds_as_text(gone.seeds)}" if gone.seeds else ""
        yield Fact(f"Withdrawn {gone.kind}", f"{counted(len(gone.jobs), 'job')}{under}")
    version = "several versions" if common.version is None else f"version {common.version}"
    bits = "the same bits" if all(job.is_exact for job in sweep.jobs.values()) else "not the same bits"
    yield Fact("Trainer", f"{common.trainer}, {version}; {bits} on every CPU")
    yield Fact("Metric", f"{metric.name}; {'higher' if metric.higher_is_better else 'lower'} is better")
    yield Fact("Data set", f"{manifest.specification.data}, SHA-256 {manifest.dataset}")
    environments = Counter(row.environment for row in sweep.rows.values() if row.environment is not None)
    for environment, jobs in environments.most_common(MOST_ENVIRONMENTS):
        yield Fact("Trained on", f"{environment} ({counted(jobs, 'job')})")


def _session(session: Provenance) -> tuple[str, ...]:
    packages = ", ".join(f"{name} {version}" for name, version in session.packages.items() if version is not None)
    if session.trainer_package is not None:
        packages = f"{packages}, trainer of {session.trainer_package}"
    commit = "no checkout"
    if session.git_commit is not None:
        commit = f"{session.git_commit[:12]}{', with changes' if session.git_dirty else ''}"
    return (moment(session.created), session.host, session.python, session.platform, commit, packages)
