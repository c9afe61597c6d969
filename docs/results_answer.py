"""Make the answers of docs/results/index.md: verdicts and tables, as `orchestrator` prints them, and a race."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from results_tables import listed, percent

from orchestrator.analysis.leaderboard import table
from orchestrator.analysis.race import Race, Terms
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.job import Configuration
from worker.records.answers import unpack

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from validation_noise import validation_noise


def checked(path: Path) -> SweepFolder:
    """Return the folder of a sweep; exit if a job has no result with the answers of its network."""
    path = path.resolve()
    folder = SweepFolder(path.parent, path.name)
    jobs = folder.manifest().jobs_by_key()
    rows = folder.rows_of(jobs)
    missing = [key for key in jobs if key not in rows or rows[key].correct is None]
    if missing:
        raise SystemExit(f"{path}: {len(missing)} jobs have no result with answers; finish the sweep first (--resume)")
    return folder


def verdict(folder: SweepFolder) -> str:
    """Return what `orchestrator leaderboard NAME --markdown --wide` prints."""
    board = Sweep.read(folder).leaderboard
    return table.to_markdown(board, table.by_configuration(board, board.standings, wide=True))


def noise(folder: SweepFolder) -> str:
    """Say how much of the spread over seeds is the validation set's, for each configuration, as a list."""
    manifest = folder.manifest()
    rows = folder.rows_of(manifest.jobs_by_key())
    names = JobNames(manifest.jobs_by_key().values())
    groups: dict[Configuration, list[Row]] = {}
    for key, job in manifest.jobs_by_key().items():
        groups.setdefault(job.configuration, []).append(rows[key])
    lines = []
    for configuration, of_it in groups.items():
        found = validation_noise(np.array([unpack(str(row.correct)) for row in of_it]))
        if found is not None:
            share = (
                f"{percent(found.share, 0)} % ({percent(found.interval.low, 0)} to {percent(found.interval.high, 0)})"
            )
            lines.append(f"{names.configuration(configuration.options)}: {share}")
    return listed(lines)


def race(folder: SweepFolder, terms: Terms) -> str:
    """Tell the course of a race: the verdict after each of its rounds, and what the race skipped."""
    rows = folder.rows_of(folder.manifest().jobs_by_key())
    stages = [folder.manifest()]
    while stages[-1].rounds:
        stages.append(stages[-1].undone())
    runs = []
    for each in reversed(stages):
        jobs = each.jobs_by_key()
        # Earlier stages have the looks of the last one, so that each is judged as a race.
        runs.append(Race(Sweep.of(folder, each, jobs, {key: rows[key] for key in jobs}), terms))
    told = "{}, up to {} seeds: {}"
    lines = [told.format(counted(len(run.sweep.jobs), "job"), run.seeds, run.sweep.judgement.verdict) for run in runs]
    run = runs[-1]
    every = f"All {len(run.sweep.scored)} configurations at {run.seeds} seeds are {counted(run.full_grid, 'job')}"
    saved = [f"{every}; the race skipped {run.saved}."] if run.spent else []
    return listed([*lines[:-1], f"**{lines[-1]}**", *saved])
