"""`check_trainer`: whether a trainer keeps the promises of the protocol, for the tests of its own package.

Each public function of `definition`, `training` and `elsewhere` is a check; it raises `Broken`. One that takes
`options`, or what a training of them has `recorded`, is called for each of the options. `case` trains, and remembers
what it trained. NumPy is imported in functions only.
"""

import inspect
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nn.errors import InvalidInputError
from worker.errors import TrainerCheckError
from worker.trainers import registry
from worker.trainers.checks import definition, elsewhere, training
from worker.trainers.checks.case import Broken, Case, shown

#: The checks in the order of their definition: what a check relies on is checked before it.
_CHECKS: Mapping[str, Callable[..., None]] = {
    name: each
    for module in (definition, training, elsewhere)
    for name, each in vars(module).items()
    if inspect.isfunction(each) and each.__module__ == module.__name__ and not name.startswith("_")
}


def checks() -> Mapping[str, str]:
    """Return the description of each check by its name, in the order of `check_trainer`."""
    return {name: inspect.getdoc(check) or "" for name, check in _CHECKS.items()}


def check_trainer(
    trainer: registry.AnyTrainer | type[registry.AnyTrainer],
    *,
    data: str | None = None,
    options: Sequence[Mapping[str, Any]] = ({},),
    seeds: Sequence[int] = (0, 1),
    cache_dir: Path | None = None,
    threads: int = 1,
    only: Collection[str] = (),
) -> None:
    """Check that a trainer keeps the promises of `Trainer`. It trains about ten times with each set of options.

    Use it in a test of the trainer's package, with options that take a few short epochs.

    Args:
        trainer: The trainer, or its class, which another process must be able to import.
        data: The source of the data set; by default, the trainer's own.
        options: Values of options that it is trained with, one after another; `{}` for the defaults.
        seeds: The seeds; a single one if training draws no random numbers.
        cache_dir: As for `Trainer.load`; by default, a temporary folder.
        threads: As `SEEDSWEEP_THREADS`: how many BLAS, OpenMP and numba may use.
        only: The names of the checks to run (`checks()`); by default, all.

    Raises:
        TrainerCheckError: a promise is broken. It has the name of the check, and says what to do.
        InvalidInputError: there are no options, seeds or threads, or `only` names an unknown check.
    """
    for field, value in (("options", options), ("seeds", seeds), ("threads", threads)):
        if not value:
            raise InvalidInputError(field, value, "at least one")
    for name in only:
        if name not in _CHECKS:
            raise InvalidInputError("only", name, f"a name in checks(): {', '.join(_CHECKS)}")
    made = trainer() if isinstance(trainer, type) else trainer
    with tempfile.TemporaryDirectory() as folder:
        source = str(getattr(made, "data", "")) if data is None else data
        # As a worker gives it to `load`.
        source = source and registry.source(made, source)
        case = Case(made, source, tuple(options), tuple(seeds), cache_dir or Path(folder), threads)
        for name, check in _CHECKS.items():
            if only and name not in only:
                continue
            try:
                _run(check, case)
            except Broken as error:
                raise TrainerCheckError(name, str(error)) from error.__cause__
            except Exception as error:
                raise TrainerCheckError(name, f"it raised {shown(error)}") from error


def _run(check: Callable[..., None], case: Case) -> None:
    takes = inspect.signature(check).parameters
    jobs: Iterable[tuple[Any, Any]] = [(None, None)]
    if "recorded" in takes:
        jobs = case.jobs()
    elif "options" in takes:
        jobs = ((options, None) for options in case.options)
    for options, recorded in jobs:
        given = {"case": case, "options": options, "recorded": recorded}
        check(**{name: given[name] for name in takes})
