"""`orchestrator logs` and `weights`: show what jobs left behind: what their trainers printed, and their weights."""

import json
import sys
from typing import Annotated

from nn.errors import clipped, printable
from orchestrator.analysis.lookup import best_job, restore
from orchestrator.analysis.selection import pick, pick_one
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import complain, print_json
from orchestrator.cli.shared.parameters import AnySweep, AsJson, BestJob, picking
from worker.settings import load_settings

#: If several jobs have a log: the most lines of each that are shown, its last ones, and the most characters of a line.
LINES, LONGEST = 10, 1000


def command(folder: AnySweep, words: Annotated[list[str] | None, picking()] = None, as_json: AsJson = False) -> int:
    """Show what the trainer of a sweep's jobs printed, logged and raised.

    It prints the whole log of a single job. If several jobs fit the words, it prints the last 10 lines of each log,
    and the first 1,000 characters of each line. --json prints whole logs.

    Example: orchestrator logs night-run seed=3
    """
    manifest = folder.manifest()
    jobs = manifest.jobs_by_key()
    # That of a job which trains, and was silent until now, is empty.
    known = [key for key in pick(folder.name, jobs, words or []) if folder.log(key)]
    if as_json:
        # Piece by piece: a log may have 2 MiB, and there may be one for each of thousands of jobs.
        print(f'{{"name": {json.dumps(folder.name)}, "logs": {{', end="")
        for i, key in enumerate(known):
            print(f"{', ' if i else ''}{json.dumps(key)}: {json.dumps(folder.log(key) or '')}", end="")
        print("}}")
    for key in () if as_json else known:
        lines = (folder.log(key) or "").removesuffix("\n").split("\n")
        if len(known) > 1:
            print(printable(f"job {key[:12]}: {jobs[key].words(manifest.axes)}"))
            lines = [f"  {clipped(line, LONGEST)}" for line in lines[-LINES:]]
        for line in lines:
            print(printable(line))
    if not known:
        complain(f"No{' such' if words else ''} job has a log: only what a trainer prints, logs or raises makes one")
    return 0 if known else 1


def weights(folder: AnySweep, words: BestJob = None, as_json: AsJson = False) -> int:
    """Print the path of a job's weights; if they were not kept, train it again.

    The job is trained in this process. Nothing is written unless its weights have the SHA-256 that its row names.

    Example: orchestrator weights night-run seed=3 learning_rate=0.01
    """
    read = Sweep.read(folder)
    job = read.jobs[pick_one(read.name, read.jobs, words) if words else best_job(read)]
    restore(read, job, load_settings().cache_dir, complain)
    sha256 = str(read.rows[job.key].weights_sha256)
    path = str(read.folder.weights_path(sha256))
    if as_json:
        return print_json({"name": read.name, "job": job.key, "weights_sha256": sha256, "path": path})
    # A script needs it as it is.
    print(printable(path) if sys.stdout.isatty() else path)
    return 0
