"""The trainers that are installed here and on the workers."""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from subprocess import DEVNULL, TimeoutExpired, run
from tempfile import TemporaryFile

from nn.errors import InvalidInputError, SeedsweepError
from nn.options.describe import allowed, help_text
from orchestrator.cluster.cluster import Cluster
from worker.text import reason
from worker.trainers import registry

#: Seconds that the import of a trainer may take.
PROBE_SECONDS = 60.0


@dataclass(frozen=True)
class TrainerFacts:
    """A trainer, here and on the workers.

    Attributes:
        name: Its name.
        version: The version that is installed here; None if none is, or it cannot be used.
        problem: Why it cannot be used here; None if it can.
        metric: What it measures.
        exact: Whether the same job gives the same bits on every CPU.
        data: The data sets that it takes, as the end of a sentence.
        options: Its options, which may depend on those that were given: the `name` of each, its `help` with its
            default, and the `allowed` values, as the end of a sentence.
        ignored: Entry points of other packages that have the name of one of Seedsweep's own trainers.
        workers: The workers that have it, each with the versions that it trains and the digest of its data set.
    """

    name: str
    version: int | None
    problem: str | None
    metric: str = ""
    exact: bool = False
    data: str = ""
    options: Sequence[Mapping[str, str]] = ()
    ignored: tuple[str, ...] = ()
    workers: Sequence[tuple[str, tuple[int, ...], str | None]] = ()


def trainers(cluster: Cluster | None, given: Mapping[str, object]) -> list[TrainerFacts]:
    """Return the trainers that are installed here, then those that only workers have.

    Args:
        cluster: The cluster whose workers are asked; None for none.
        given: Options on which others depend (`Trainer.options_for`). Only trainers that have them are listed.

    Raises:
        InvalidInputError: no trainer has the options, or one rejects them.
    """
    found: dict[str, list[tuple[str, tuple[int, ...], str | None]]] = {name: [] for name in registry.names()}
    for worker in cluster.roster.online() if cluster is not None else ():
        has = worker.name, tuple(worker.versions), worker.dataset
        found.setdefault(worker.trainer, []).append(has)
    listed = [
        replace(_facts(name, given), ignored=registry.ignored(name), workers=workers) for name, workers in found.items()
    ]
    fitting = [each for each in listed if given.keys() <= {option["name"] for option in each.options}]
    if not fitting:
        raise InvalidInputError("fixed", next(iter(given)), "an option of an installed trainer")
    return fitting


def _facts(name: str, given: Mapping[str, object]) -> TrainerFacts:
    if name not in registry.names():
        return TrainerFacts(name, None, "it is not installed here")
    return _described(name, given) if registry.is_own(name) else _probed(name, given)


def _probed(name: str, given: Mapping[str, object]) -> TrainerFacts:
    """Return a trainer of another package as another process describes it: its import may do anything."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # Not a pipe, which a process that the import has left could keep open.
    with TemporaryFile() as answer:
        # By its number, as others may exchange what has its name.
        own = answer.fileno()
        command = [sys.executable, "-P", "-m", __name__, name, json.dumps(dict(given)), str(own)]
        try:
            ended = run(
                command, env=environment, stdin=DEVNULL, stdout=DEVNULL, pass_fds=[own],
                timeout=PROBE_SECONDS, check=False,
            )  # fmt: skip
            problem = f"its import ended the process, with exit status {ended.returncode}"
        except TimeoutExpired:
            problem = f"its import took longer than {PROBE_SECONDS:g} seconds"
        told = {}
        answer.seek(0)
        with contextlib.suppress(ValueError):  # The process may have ended while it wrote.
            told = json.loads(answer.read())
    if "invalid" in told:
        raise InvalidInputError(*told["invalid"])
    if not told:
        return TrainerFacts(name, None, f"The trainer {name} cannot be imported: {problem}")
    return TrainerFacts(**told)


def _describe(name: str, given: str, answer: str) -> None:
    try:
        told: dict[str, object] = asdict(_described(name, json.loads(given)))
    except InvalidInputError as error:
        told = {"invalid": [error.field, error.value, error.allowed]}
    except BaseException as error:
        told = asdict(TrainerFacts(name, None, f"The trainer {name} cannot be imported: {reason(error)}"))
    with os.fdopen(int(answer), "w") as file:
        file.write(json.dumps(told, default=str))
    # What the import has started must not hold this process up.
    os._exit(0)


def _described(name: str, given: Mapping[str, object]) -> TrainerFacts:
    try:
        made = registry.trainer(name)
        model = made.options_for(given) if given.keys() <= made.Options.model_fields.keys() else made.Options
    except InvalidInputError:
        raise
    except SeedsweepError as error:
        return TrainerFacts(name, None, str(error))
    options = [
        {"name": each, "help": help_text(model, each), "allowed": allowed(info)}
        for each, info in model.model_fields.items()
    ]
    return TrainerFacts(name, made.version, None, made.metric.name, made.exact, made.data_help, options)


if __name__ == "__main__":
    _describe(*sys.argv[1:])
