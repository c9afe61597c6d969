"""The installed trainers: entry points of the group `seedsweep.trainers`, the only names that lead to code."""

import contextlib
import functools
import hashlib
import inspect
import math
import os
import re
import sys
import threading
from contextlib import AbstractContextManager
from importlib.metadata import EntryPoint, EntryPoints, entry_points, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from nn.errors import DatasetError, InvalidInputError, SeedsweepError, meant
from worker.errors import TrainerUnusableError
from worker.text import reason
from worker.trainers.protocol import Data, Metric, Trainer

GROUP = "seedsweep.trainers"
#: Our own trainers, which nobody else's package replaces. To look for entry points takes longer than to make one.
_OWN = {
    "network": "worker.trainers.network:NetworkTrainer",
    "sklearn": "worker.trainers.sklearn.trainer:SklearnTrainer",
}
#: The trainer of the notebook's network, and of every job that names none.
DEFAULT = "network"
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)

AnyTrainer = Trainer[Any, Any]


@functools.cache
def _entries() -> EntryPoints:
    return entry_points(group=GROUP)


def names() -> tuple[str, ...]:
    """Return the names of the installed trainers: `network`, then the others in alphabetical order."""
    return tuple(sorted({*_OWN, *_entries().names}, key=lambda name: (name != DEFAULT, name)))


def package(name: str) -> str | None:
    """Return the name and the version of the distribution that installs a trainer; None if it is not known."""
    if is_own(name):
        return f"seedsweep {version('seedsweep')}"
    found = next((each.dist for each in _chosen(name) if each.dist is not None), None)
    return None if found is None else f"{found.name} {found.version}"


def _chosen(name: str) -> tuple[EntryPoint, ...]:
    return (EntryPoint(name, _OWN[name], GROUP),) if name in _OWN else tuple(_entries().select(name=name))


def is_own(name: str) -> bool:
    """Return whether a trainer is one of ours."""
    return name in _OWN


def ignored(name: str) -> tuple[str, ...]:
    """Return the entry points that other packages install under the name of one of our trainers."""
    return tuple(each.value for each in _entries().select(name=name) if each.value != _OWN.get(name, each.value))


@functools.cache
def code(name: str) -> str | None:
    """Return what trains: a trainer's package with its version, and a digest of the package's source files.

    None for the trainers of Seedsweep, whose versions say enough. The files are read by the first call.

    Raises:
        InvalidInputError, TrainerUnusableError: as for `trainer`.
    """
    trainer(name)
    if is_own(name):
        return None
    top = _chosen(name)[0].module.partition(".")[0]
    roots = [Path(each) for each in getattr(sys.modules[top], "__path__", ())]
    files = {path.relative_to(root).as_posix(): path for root in roots for path in root.rglob("*.py")}
    if not roots and sys.modules[top].__file__:
        files = {"": Path(str(sys.modules[top].__file__))}
    digest = hashlib.sha256()
    for place, path in sorted(files.items()):
        with contextlib.suppress(OSError):
            digest.update(f"{place}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{package(name) or top}, files {digest.hexdigest()[:16]}"


@functools.cache
def trainer(name: str, field: str = "trainer") -> AnyTrainer:
    """Return an installed trainer; in messages, `field` is the name of the field as the user wrote it.

    Raises:
        InvalidInputError: no trainer of this name is installed.
        TrainerUnusableError: its package cannot be imported, or is not a trainer.
    """
    found = _chosen(name)
    if not found:
        allowed = f"the name of an installed trainer: {', '.join(names())}{meant(name, names(), most=1)}"
        raise InvalidInputError(field, name, allowed)
    places = [each.value for each in found]
    if len(set(places)) > 1:
        raise TrainerUnusableError(f"Two packages install a trainer {name}: {' and '.join(places)}")
    what, before = f"The trainer {name} ({places[0]})", Path()
    with contextlib.suppress(OSError):
        before = Path.cwd()
    try:
        with beside():
            loaded = found[0].load()
            made = loaded() if isinstance(loaded, type) else loaded
    except (Exception, SystemExit) as error:
        raise TrainerUnusableError(f"{what} cannot be imported: {reason(error)}") from None
    finally:
        # An import may change the working folder, to which paths are relative.
        with contextlib.suppress(OSError):
            os.chdir(before)
    problem = problem_of(made, name)
    if problem is not None:
        raise TrainerUnusableError(f"{what} is invalid: {problem}")
    # What it raises, except our own errors, becomes an error that names the trainer and the method.
    for method, function in vars(Trainer).items():
        if inspect.isfunction(function) and not method.startswith("_") and method not in _CALLED_ONCE:
            # In its own dictionary, because the object may forbid attributes to be set.
            vars(made)[method] = functools.partial(_call, made, method)
    return made  # type: ignore[no-any-return]


def beside() -> AbstractContextManager[object]:
    """Send what a trainer prints to standard error: standard output has the answer of a command, and nothing else.

    In the main thread alone: of two threads that redirect `sys.stdout`, one would restore the other's.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return contextlib.redirect_stdout(sys.stderr) if is_main else contextlib.nullcontext()


def source(trainer: AnyTrainer, given: str, field: str = "data") -> str:
    """Return the source of a data set as `Trainer.load` takes it: one of the trainer's names, or an absolute path.

    In messages, `field` is the name of the field as the user wrote it.

    Raises:
        InvalidInputError: it is neither.
    """
    if given in trainer.datasets:
        return given
    try:
        if not given or "\0" in given:
            raise ValueError
        # Not `Path.resolve`, which rejects loops of links in some versions of Python: that is left to the trainer.
        path = os.path.realpath(Path(given).expanduser())
        # A path of bytes that are not text cannot be written to `sweep.json`.
        path.encode()
    except (ValueError, OSError, RuntimeError):
        raise InvalidInputError(field, given, trainer.data_help) from None
    return path


def load(trainer: AnyTrainer, source: str, cache_dir: Path) -> Data:
    """Load a trainer's data set.

    Raises:
        DatasetError: the data set is missing or damaged.
        TrainerUnusableError: the trainer raised another error, or returned no data set.
    """
    what = f"the data set {source!r}"
    try:
        with beside():
            data: Data = trainer.load(source, cache_dir)
            digest = data.digest
    except SeedsweepError:
        raise
    except MemoryError:
        raise DatasetError(f"{what} needs more memory than there is") from None
    except Exception as error:
        raise TrainerUnusableError(f"The trainer {trainer.name} cannot load {what}: {reason(error)}") from None
    if not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
        raise TrainerUnusableError(f"The trainer {trainer.name} gives {what} a digest that is not a SHA-256")
    return data


def problem_of(made: object, name: str) -> str | None:
    """Return why an object is not a trainer of this name, or None if it is one."""
    if not isinstance(made, Trainer):
        return "it is not a seedsweep.Trainer"
    if NAME.fullmatch(name) is None or getattr(made, "name", None) != name:
        return f"its name is {getattr(made, 'name', None)!r}; allowed: the name of its entry point, {name!r}"
    version = getattr(made, "version", None)
    if type(version) is not int or not 1 <= version < 2**31:
        return f"its version is {version!r}; allowed: an integer from 1"
    try:
        versions: object = made.versions
    except Exception as error:
        versions = f"an exception, {type(error).__name__}"
    if not (isinstance(versions, frozenset) and version in versions):
        return f"its versions are {str(versions)[:80]}; allowed: a frozenset that has its version"
    return _problem_of_options(made)


def _problem_of_options(made: AnyTrainer) -> str | None:
    problem = problem_of_model(getattr(made, "Options", None))
    if problem is not None:
        return problem
    if not isinstance(getattr(made, "metric", None), Metric):
        return "its metric is not a seedsweep.Metric"
    if not made.metric.name.isprintable():
        return f"its metric's name is {made.metric.name[:80]!a}; allowed: characters on one line"
    if made.shares not in (None, "nothing", "data", "all"):
        return f"its shares is {str(made.shares)[:80]!r}; allowed: nothing, data or all"
    if not isinstance(getattr(made, "data", None), str):
        return "it has no `data`: the data set to use by default"
    return None


def problem_of_model(options: object) -> str | None:
    """Return why an object is not a model of options, or None if it is one."""
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        return "its Options are not a pydantic model"
    if not options.model_config.get("frozen") or options.model_config.get("extra") != "forbid":
        return 'its Options lack model_config = ConfigDict(frozen=True, extra="forbid")'
    for name, field in options.model_fields.items():
        if not _is_plain(field.get_default()):
            allowed = "None, a bool, a finite number, text, or a tuple of these"
            return f"its option {name} has the default {repr(field.get_default())[:80]!a}; allowed: {allowed}"
    reserved = RESERVED & options.model_fields.keys()
    return f"its option {min(reserved)} has a name that a sweep's specification has already" if reserved else None


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or value is PydanticUndefined or type(value) in (bool, int, str)


#: Methods that are called in one place each, which checks what they raise: `worker.training.trainer`, and `load` above.
_CALLED_ONCE = ("train", "load")


def _call(trainer: AnyTrainer, method: str, /, *arguments: Any, **more: Any) -> Any:
    try:
        with beside():
            return getattr(type(trainer), method)(trainer, *arguments, **more)
    except (SeedsweepError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise TrainerUnusableError(
            f"The trainer {trainer.name} is broken: its {method} raised {reason(error)}"
        ) from error


#: Words of a specification, which no option may have as its name.
RESERVED = frozenset({
    "seeds", "seed", "trainer", "data", "dataset", "sampler", "samples", "sampler_seed", "sampler_batch", "set", "grid",
    "options", "version", "job", "zipped", "beside",
})  # fmt: skip
