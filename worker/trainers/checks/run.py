"""Runs the checks of a trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nn.errors import InvalidInputError
from worker.errors import TrainerCheckError
from worker.trainers.checks import data, definition, elsewhere, options, resuming, training
from worker.trainers.checks.case import AnyTrainer, Broken, Case, shown

#: In this order: what a check relies on is checked before it.
_CHECKS: tuple[Callable[[Case], None], ...] = (
    definition.well_formed,
    definition.options_are_described,
    definition.defaults_can_be_typed,
    options.options_survive_json,
    options.options_are_frozen,
    options.unknown_options_are_refused,
    options.bad_options_are_refused,
    options.any_options_are_read_or_refused,
    data.data_has_a_digest,
    data.missing_data_is_refused,
    data.changed_data_has_another_digest,
    training.trains,
    training.each_epoch_is_reported,
    training.metrics_are_finite_numbers,
    training.a_problem_is_one_sentence,
    training.correct_samples_agree_with_the_metric,
    training.sizes_are_bounded,
    training.artifact_is_no_pickle,
    training.artifact_is_accepted,
    training.the_test_split_is_evaluated,
    training.same_bits_twice,
    training.data_and_options_stay,
    training.seeds_matter,
    training.exceptions_of_on_epoch_pass,
    resuming.resuming_gives_the_same_bits,
    resuming.longer_jobs_go_on_to_the_same_bits,
    resuming.damaged_checkpoints_are_refused,
    elsewhere.imports_are_late,
    elsewhere.same_bits_in_another_process,
    elsewhere.resuming_in_another_process_gives_the_same_bits,
    elsewhere.nothing_is_printed,
    elsewhere.surroundings_stay,
    elsewhere.nothing_is_left_running,
)
_BY_NAME = {check.__name__: check for check in _CHECKS}


def checks() -> Mapping[str, str]:
    """Return what is checked, by the name of the check, in the order of `check_trainer`."""
    return {name: (check.__doc__ or "").strip() for name, check in _BY_NAME.items()}


def check_trainer(
    trainer: AnyTrainer | type[AnyTrainer],
    *,
    data: str | None = None,
    options: Sequence[Mapping[str, Any]] = ({},),
    seeds: Sequence[int] = (0, 1),
    cache_dir: Path | None = None,
    only: Collection[str] = (),
) -> None:
    """Check that a trainer keeps the promises of `Trainer`. It trains each of the options some ten times.

    Use it in a test of the trainer's package, with options that take a few short epochs.

    Args:
        trainer: The trainer, or its class, which another process must be able to import.
        data: The source of the data set; by default, the trainer's own.
        options: Values of options that it is trained with, one after another; `{}` for the defaults.
        seeds: The seeds; a single one where training draws no random numbers.
        cache_dir: As for `Trainer.load`; by default, a temporary folder.
        only: The names of the checks to run (`checks()`); by default, all.

    Raises:
        TrainerCheckError: a promise is broken. It has the name of the check, and says what to do.
        InvalidInputError: there is no option, no seed, or no check of a name.
    """
    for field, value in (("options", options), ("seeds", seeds)):
        if not value:
            raise InvalidInputError(field, value, "at least one")
    for name in only:
        if name not in _BY_NAME:
            raise InvalidInputError("only", name, f"a name in checks(): {', '.join(_BY_NAME)}")
    made = trainer() if isinstance(trainer, type) else trainer
    with tempfile.TemporaryDirectory() as folder:
        source = str(getattr(made, "data", "")) if data is None else data
        case = Case(made, source, tuple(options), tuple(seeds), cache_dir or Path(folder))
        for name, check in _BY_NAME.items():
            if not only or name in only:
                _run(name, check, case)


def _run(name: str, check: Callable[[Case], None], case: Case) -> None:
    try:
        check(case)
    except Broken as error:
        raise TrainerCheckError(name, str(error)) from error.__cause__
    except Exception as error:
        raise TrainerCheckError(name, f"it raised {shown(error)}") from error
