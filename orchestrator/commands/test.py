"""`test`: evaluates the chosen configuration on the samples that were held out of training, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nn.errors import InvalidInputError
from orchestrator.analysis import held_out
from orchestrator.analysis.configuration import FIELD, Chosen, choose
from orchestrator.analysis.sweep import Sweep
from orchestrator.commands.plan import Tell, ignore
from orchestrator.commands.weights import restore
from orchestrator.errors import HeldOutError
from orchestrator.folder.reading import Reading
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.text import have
from worker.trainers.protocol import Metric


@dataclass(frozen=True)
class HeldOut:
    """The result of a configuration on the test split.

    Attributes:
        sweep: The sweep's name.
        metric: What was measured.
        reading: The record.
        draws_split: Whether each seed was validated on other samples.
        repeated: Whether the split had been read before: this is the earlier record, and nothing was evaluated.
    """

    sweep: str
    metric: Metric
    reading: Reading
    draws_split: bool
    repeated: bool


def read_test_split(folder: SweepFolder, words: Sequence[str] = (), *, cache_dir: Path, tell: Tell = ignore) -> HeldOut:
    """Evaluate a configuration on the test split of its sweep, and record it in the folder; or return the record.

    Args:
        folder: The sweep's folder. Its jobs hold samples out of training (`Trainer.held_out`).
        words: Name the configuration (`orchestrator.analysis.selection`); none for the leader.
        cache_dir: Where prepared data sets are kept.
        tell: Receives a sentence before a job is trained again whose weights were not kept.

    Raises:
        HeldOutError: the sweep has no test split, has jobs without a row, or its record is damaged.
        InvalidInputError: the words fit no configuration or several; or the split was read for another one.
        SweepNotFoundError: the folder contains no sweep, or the sweep has no leader.
        SweepBusyError: another process works on the sweep.
        OutputError: the folder cannot be written; nothing was read.
        SeedsweepError: the data set or weights cannot be used; nothing was read.
    """
    manifest = folder.manifest()
    job = next(iter(manifest.specification.jobs(manifest.dataset)))
    if not job.trained_by.held_out(job.options):
        raise HeldOutError(f"The sweep {folder.name} has no test split: begin one with --test-size to hold samples out")
    record = folder.reading()
    if record is None:
        chosen = _chosen(folder, words)
        for key in chosen.scored.keys:
            if chosen.sweep.rows[key].status == "succeeded":
                restore(chosen.sweep, chosen.sweep.jobs[key], cache_dir, tell)
        # Locked before the samples are read: they must not be seen if the record cannot be written.
        with folder.exclusive():
            record = folder.reading()
            if record is None:
                chosen = _chosen(folder, words)
                record = held_out.evaluate(folder, chosen, cache_dir)
                folder.keep_reading(record)
                return HeldOut(
                    folder.name, chosen.sweep.names.metric, record, chosen.scored.draws_split, repeated=False
                )
    if words:
        _check_same(folder.name, choose(Sweep.read(folder), words), record)
    return HeldOut(folder.name, job.metric, record, job.trained_by.draws_split(job.options), repeated=True)


def _chosen(folder: SweepFolder, words: Sequence[str]) -> Chosen:
    sweep = Sweep.read(folder)
    chosen = choose(sweep, words)
    _check_ended(sweep)
    if not chosen.scored.trained:
        raise HeldOutError(f"No job of {chosen.name} trained to its end: there is nothing to test")
    # The trainer evaluates its own metric, whichever one has chosen the leader.
    own = sweep.select(metric="last")
    scored = next(each for each in own.scored if each.keys == chosen.scored.keys)
    return replace(chosen, sweep=own, scored=scored)


def _check_ended(sweep: Sweep) -> None:
    """Refuse to spend the split on a configuration that further results may still replace."""
    missing = len(sweep.jobs) - len(sweep.rows)
    if missing:
        raise HeldOutError(
            f"{have(missing, 'job')} no row yet in the sweep {sweep.name}, and its test split is read once: "
            f"first finish it by orchestrator sweep --resume --name {sweep.name}"
        )


def _check_same(name: str, chosen: Chosen, record: Reading) -> None:
    options = chosen.configuration.options.model_dump(mode="json")
    # A record from before an option existed lacks it.
    if options != options | record.options:
        allowed = f"{record.name or 'no word'}, for which the test split of {name} was read on {record.read[:10]}"
        raise InvalidInputError(FIELD, chosen.words, f"{allowed}: it is read once")
