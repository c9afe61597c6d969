"""`orchestrator weights`: prints the path of a job's weights, after training it again if they were not kept."""

from __future__ import annotations

from orchestrator.analysis.lookup import best_job
from orchestrator.analysis.selection import pick_one
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.outcome import interruptible
from orchestrator.cli.shared.output import complain
from orchestrator.cli.shared.parameters import AnySweep, BestJob
from orchestrator.commands.weights import restore
from worker.settings import load_settings


def command(folder: AnySweep, words: BestJob = None) -> int:
    """Print the path of a job's weights; if they were not kept, train it again.

    The job is trained in this process. Nothing is written unless its weights have the SHA-256 that its row names.

    Example: orchestrator weights night-run seed=3 learning_rate=0.01
    """
    read = Sweep.read(folder)
    job = read.jobs[pick_one(read.name, read.jobs, words) if words else best_job(read)]
    with interruptible():
        restore(read, job, load_settings().cache_dir, complain)
    print(read.folder.weights_path(str(read.rows[job.key].weights_sha256)))
    return 0
