"""What a trainer says about itself, before it trains."""

from __future__ import annotations

from nn.options.describe import written
from nn.options.values import Reader
from worker.trainers.checks.case import Broken, Case, shown
from worker.trainers.registry import problem_of


def well_formed(case: Case) -> None:
    """Name, version, Options, metric and data are as the protocol says, and the class needs no arguments."""
    trainer = case.trainer
    problem = problem_of(trainer, str(getattr(trainer, "name", "")))
    if problem is not None:
        raise Broken(problem)
    try:
        type(trainer)()
    except Exception as error:
        raise Broken(
            f"{type(trainer).__name__}() raised {shown(error)}; a trainer is made without arguments"
        ) from error
    for options in case.options:
        epochs = trainer.epochs(options)
        if type(epochs) is not int or epochs < 1:
            raise Broken(f"epochs returned {shown(epochs)}; allowed: an integer from 1")
        largest = trainer.max_bytes(options, case.data.digest)
        if type(largest) is not int or largest < 1:
            raise Broken(f"max_bytes returned {shown(largest)}; allowed: an integer from 1")


def defaults_can_be_typed(case: Case) -> None:
    """Each default is read back from the text, or the list in a file, that a user writes for it."""
    for model in {type(options) for options in case.options}:
        for name, info in model.model_fields.items():
            if info.is_required():
                continue
            try:
                read = [Reader(model, name)(each) for each in (info.default, written(info.default))]
            except (ValueError, TypeError, OverflowError):
                read = []
            if read != [info.default] * 2:
                raise Broken(
                    f"the default of the option {name}, {shown(info.default)}, cannot be typed; an option is a number, "
                    "a text, true or false, or a tuple of a fixed length"
                )


def options_are_described(case: Case) -> None:
    """Each option has a description, which becomes its help."""
    fields = {name: info for options in case.options for name, info in type(options).model_fields.items()}
    for name, info in fields.items():
        if not info.description:
            raise Broken(f'the option {name} has no description; give it one: Field(..., description="...")')
