"""Writes a sweep as a folder that TensorBoard opens: a run for each job, named by its configuration and its seed."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from nn.options.describe import written
from orchestrator.analysis.sweep import Sweep
from orchestrator.export.jobs import OnProgress, counted, series_of, start_of
from orchestrator.folder.rows import Row
from worker.text import one_line

#: TensorBoard reads files whose name has `tfevents`.
EVENTS = "events.out.tfevents.seedsweep"
#: Longest configuration in the name of its folder, in characters; a name may have 255 bytes.
LONGEST = 120
_UNSAFE = re.compile(r"[^A-Za-z0-9.,=_-]+")


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the folder. The same results give the same bytes under one version of the package `tensorboard`.

    A run has the metrics of each epoch as scalars, and its options for the tab "HParams". The time of an epoch
    is the job's start plus the seconds that it had trained by then.
    """
    paths[0].mkdir()
    for row in counted(sweep, on_progress):
        words = sweep.names.words(sweep.jobs[row.job].options) or sweep.name
        typed = words.replace(" ", ",")
        # Safe in file systems and pages.
        group = _UNSAFE.sub("_", typed).lstrip(".-")[:LONGEST]
        if group != typed:
            # Two configurations may differ only in what is replaced or cut.
            group += f"-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
        folder = paths[0] / group / f"seed-{row.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / EVENTS).open("xb") as file:
            _write_run(sweep, row, group, file)


def _write_run(sweep: Sweep, row: Row, group: str, file: BinaryIO) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.summary.writer.record_writer import RecordWriter

    def add(time: float, **event: Any) -> None:
        writer.write(Event(wall_time=time, **event).SerializeToString())

    writer = RecordWriter(file)
    add(0.0, file_version="brain.Event:2")
    time = start_of(sweep, row)
    # The tab "HParams" knows these types, and shows the mean of a group: the seeds of a configuration are one.
    parameters = {
        name: value if isinstance(value, (bool, int, float)) else one_line(written(value))
        for name, value in sweep.jobs[row.job].options
    }
    summary = hparams_pb(parameters, trial_id=group, start_time_secs=time)
    for value in summary.value:
        # Its serialized order differs from one process to the next.
        told = HParamsPluginData.FromString(value.metadata.plugin_data.content)
        value.metadata.plugin_data.content = told.SerializeToString(deterministic=True)
    add(time, summary=summary)
    series = series_of(sweep, row)
    for i, seconds in enumerate(row.epoch_seconds):
        time += seconds
        values = [Summary.Value(tag=tag, simple_value=scores[i]) for tag, scores in series.items()]
        add(time, step=i + 1, summary=Summary(value=values))
