"""Writes a sweep as a folder that TensorBoard opens: a run for each job, named by its configuration and its seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.analysis.sweep import Ended, Sweep
from orchestrator.export.destination import MARK
from orchestrator.export.jobs import Missing, OnProgress, as_text, metric_of, options_of, start_of
from worker.job import Configuration, Job

#: TensorBoard reads files whose name has `tfevents`.
EVENTS = "events.out.tfevents.seedsweep"
#: Characters of a configuration in the name of its folder, which may have 255 bytes.
LONGEST = 120
_UNSAFE = re.compile(r"[^A-Za-z0-9.,=_-]+")


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> tuple[Missing, ...]:
    """Write the folder. The same results give the same bytes under one version of the package `tensorboard`.

    A run has the metrics of each epoch as scalars, and its options for the tab "HParams". The time of an epoch
    is that of the job's start and the seconds that it had trained by then.
    """
    paths[0].mkdir()
    names = _Names(sweep)
    for done, each in enumerate(sweep.ended, 1):
        group = names.configuration(each.job.configuration)
        folder = paths[0] / group / f"seed-{each.row.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        with _events(folder) as add:
            _write_run(sweep, each, group, add)
        on_progress(done, len(sweep.ended))
    (paths[0] / MARK).write_text(json.dumps({"sweep": sweep.name, "format": "tensorboard"}) + "\n")
    return ()


class _Names:
    """Names the configurations of a sweep as folders that no file system and no page takes for anything else."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._known: dict[Configuration, str] = {}

    def configuration(self, configuration: Configuration) -> str:
        if configuration not in self._known:
            words = self._sweep.names.words(configuration.options) or self._sweep.name
            name = _UNSAFE.sub("_", words.replace(" ", ",")).lstrip(".-")[:LONGEST]
            # What is left out may be all that tells two configurations apart.
            mark = "" if name == words.replace(" ", ",") else f"-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
            self._known[configuration] = name + mark
        return self._known[configuration]


@contextmanager
def _events(folder: Path) -> Iterator[Any]:
    """Make a file of events, and give the block a function that adds a summary: `add(time, summary, step)`."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    with (folder / EVENTS).open("xb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())

        def add(time: float, summary: Any, step: int = 0) -> None:
            writer.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())

        yield add


def _write_run(sweep: Sweep, each: Ended, group: str, add: Any) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    row, start = each.row, start_of(sweep, each)
    # The seeds of a configuration are one group, of which the tab "HParams" shows the mean.
    add(start, hparams_pb(_parameters(each.job), trial_id=group, start_time_secs=start))
    series = {metric_of(sweep): row.validation_score, **row.others}
    time = start
    for i, seconds in enumerate(row.epoch_seconds):
        time += seconds
        values = [Summary.Value(tag=tag, simple_value=scores[i]) for tag, scores in series.items()]
        add(time, Summary(value=values), i + 1)


def _parameters(job: Job) -> dict[str, bool | float | str]:
    """Return the options in the types of the tab "HParams"."""
    values = options_of(job)
    return {name: value if isinstance(value, (bool, int, float)) else as_text(value) for name, value in values.items()}
