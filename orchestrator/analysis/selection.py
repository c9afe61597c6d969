"""Picks jobs of a sweep by words: `hidden=256,64 seed=3`.

A word is `NAME=VALUE`, where NAME is `seed` or an option, spelled as flags or rows spell it; a seed alone; `SEED:VALUE`
with the value of the option that has no default; or the first digits of a job's key. A job is picked if it fits every
word.
"""

import difflib
import math
import re
import shlex
from collections.abc import Mapping, Sequence

from nn.errors import InvalidInputError
from nn.options.describe import Reader, label, word
from orchestrator.sweeps.axes import NUMBER
from orchestrator.sweeps.fields import seeds_as_text
from orchestrator.sweeps.names import JobNames
from orchestrator.text import listed
from worker.job import Job

JOB_WORDS = "NAME=VALUE such as seed=3, a seed, SEED:LEARNING_RATE such as 3:0.01, or the first digits of a job's key"
#: Most values of an option that a message lists.
MOST_LISTED = 8

_SEED_NAMES = ("seed", "seeds")
_KEY_PREFIX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_COORDINATES = re.compile(rf"(?P<seed>\d{{1,10}}):(?P<value>{NUMBER})", re.ASCII)


def split(words: str, field: str) -> list[str]:
    """Split a text into words, as a shell does. Raises `InvalidInputError` for an open quote."""
    try:
        return shlex.split(words)
    except ValueError:
        raise InvalidInputError(field, words, "words whose quotes are closed") from None


def pick(sweep: str, jobs: Mapping[str, Job], words: Sequence[str], field: str = "the job") -> list[str]:
    """Return the keys of the jobs that fit all words, in the sweep's order; without words, of all jobs.

    Args:
        sweep: The sweep's name, for messages.
        jobs: The sweep's jobs, by key.
        words: The words, as they were typed.
        field: What they name, for messages.

    Raises:
        InvalidInputError: a word is invalid or fits no job, or no job fits all of them.
    """
    fitting = set(jobs).intersection(*map(Picker(sweep, jobs, field).fitting, words))
    if not fitting:
        allowed = f"words that fit a job of the sweep {sweep}; each of these fits one, and none fits all"
        raise InvalidInputError(field, " ".join(words), allowed)
    return [key for key in jobs if key in fitting]


def pick_any(sweep: str, jobs: Mapping[str, Job], where: Sequence[str]) -> dict[str, Job]:
    """Return the jobs of the configurations that have one of the given values for each named option.

    Args:
        sweep: The sweep's name, for messages.
        jobs: The sweep's jobs, by key.
        where: Words such as `learning_rate=0.03`.

    Raises:
        InvalidInputError: a word is invalid, no job fits, or some but not all jobs of a configuration do.
    """
    fitting: dict[str, set[str]] = {}
    for given in where:
        option = given.partition("=")[0].replace("-", "_")
        fitting.setdefault(option, set()).update(pick(sweep, jobs, [given], "where"))
    kept = set(jobs).intersection(*fitting.values())
    if not kept:
        allowed = f"words that fit a job of the sweep {sweep} together; each fits some"
        raise InvalidInputError("where", " ".join(where), allowed)
    configurations = {jobs[key].configuration for key in kept}
    if any(key not in kept and job.configuration in configurations for key, job in jobs.items()):
        allowed = "options, because a configuration is judged by all its seeds"
        raise InvalidInputError("where", " ".join(where), allowed)
    return {key: job for key, job in jobs.items() if key in kept}


def pick_one(sweep: str, jobs: Mapping[str, Job], words: Sequence[str]) -> str:
    """Return the key of the job that fits all words. Arguments: as for `pick`.

    Raises:
        InvalidInputError: as for `pick`, or several jobs fit; the message says which names are missing.
    """
    found = {key: jobs[key] for key in pick(sweep, jobs, words)}
    if len(found) > 1:
        missing = Picker(sweep, found).varying()
        allowed = f"words that fit one job of the sweep {sweep}; {len(found)} jobs fit, so add {listed(missing, 'and')}"
        raise InvalidInputError("the job", " ".join(words), allowed)
    return next(iter(found))


class Picker:
    """Picks some of these jobs; the sweep's name and `field` are for messages."""

    def __init__(self, sweep: str, jobs: Mapping[str, Job], field: str = "") -> None:
        self._sweep = sweep
        self._field = field
        self._jobs = jobs
        self._names = JobNames(jobs.values())
        self._model = self._names.model
        #: The option that each NAME means.
        self._meanings = {
            spelling: name for name in self._model.model_fields for spelling in (word(self._model, name), name)
        }
        self._seeds = tuple(dict.fromkeys(job.seed for job in jobs.values()))

    def varying(self) -> list[str]:
        """Return what varies among the jobs, with its values: `seed (0-9)`, `learning_rate (0.01 or 0.03)`."""
        options = [f"{label(self._model, name)} ({self._values_of(name)})" for name in self._names.varying]
        return [f"seed ({self._values_of_seed()})", *options] if len(self._seeds) > 1 else options

    def fitting(self, typed: str) -> set[str]:
        """Return the keys of the jobs that fit a word: at least one."""
        name, equals, value = typed.partition("=")
        if equals:
            return self._of_pair(typed, name.replace("-", "_"), value)
        found = self._of_one(typed)
        if not found:
            raise InvalidInputError(self._field, typed, f"{JOB_WORDS} (the sweep {self._sweep} has no such job)")
        return found

    def _of_one(self, typed: str) -> set[str]:
        jobs = self._jobs.items()
        # Without leading zeros: 007 is the prefix of a key, not the seed 7.
        if of_this := {key for key, job in jobs if str(job.seed) == typed}:
            return of_this
        if match := _COORDINATES.fullmatch(typed):
            seed, value = int(match["seed"]), float(match["value"])
            of_seed = [(key, job.options) for key, job in jobs if job.seed == seed]
            required = [name for name, info in self._model.model_fields.items() if info.is_required()]
            return {key for key, options in of_seed if any(getattr(options, name) == value for name in required)}
        if _KEY_PREFIX.fullmatch(typed):
            return {key for key in self._jobs if key.startswith(typed)}
        raise InvalidInputError(self._field, typed, JOB_WORDS)

    def _of_pair(self, typed: str, name: str, value: str) -> set[str]:
        if name in _SEED_NAMES:
            if value not in map(str, self._seeds):
                allowed = f"seed={self._values_of_seed()}, as in the sweep {self._sweep}"
                raise InvalidInputError(self._field, typed, allowed)
            return {key for key, job in self._jobs.items() if job.seed == int(value)}
        if name not in self._meanings:
            raise InvalidInputError(self._field, typed, self._instead_of(name))
        option = self._meanings[name]
        if value[:1] == value[-1:] == '"':
            value = value[1:-1].replace('""', '"')
        known = self._known(option)
        try:
            read = Reader(self._model, option)(value)
        except (ValueError, TypeError, OverflowError):
            read = math.nan
        # In any form, or as tables show it.
        meant = [read] if read in known else [each for each in known if self._names.shown(option, each) == value]
        if not meant:
            allowed = f"{label(self._model, option)}={self._values_of(option)}, as in the sweep {self._sweep}"
            raise InvalidInputError(self._field, typed, allowed)
        return {key for key, job in self._jobs.items() if getattr(job.options, option) in meant}

    def _instead_of(self, name: str) -> str:
        near = difflib.get_close_matches(name, [*self._meanings, *_SEED_NAMES], n=1)
        if near:
            return f"{near[0]}=VALUE, the nearest name"
        names = [*_SEED_NAMES[:1], *(label(self._model, each) for each in self._names.varying)]
        return f"NAME=VALUE, where NAME is what varies in the sweep {self._sweep}: {listed(names, 'or')}"

    def _known(self, option: str) -> tuple[object, ...]:
        return self._names.varying.get(option) or (self._names.common[option],)

    def _values_of(self, option: str) -> str:
        values = self._known(option)
        more = ", ..." if len(values) > MOST_LISTED else ""
        return " or ".join(self._names.shown(option, value) for value in values[:MOST_LISTED]) + more

    def _values_of_seed(self) -> str:
        ranges = seeds_as_text(self._seeds).split(",")
        return ",".join(ranges[:MOST_LISTED]) + (",..." if len(ranges) > MOST_LISTED else "")
