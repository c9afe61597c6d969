"""The commands that train jobs of a sweep again, as one types them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence

from nn.errors import SeedsweepError
from nn.options.describe import label, option
from orchestrator.sweeps.builder import specification
from orchestrator.sweeps.fields import Vocabulary, flag, vocabulary_of
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.specification import SweepSpecification
from worker.job import Job
from worker.text import one_line
from worker.trainers.registry import DEFAULT

#: A longer command is not shown: a shell may refuse it, and nobody can read it.
MAX_CHARACTERS = 5_000
#: The digits of a job's key that name it, at least.
KEY_DIGITS = 12


def again(jobs: Mapping[str, Job], whole: SweepSpecification, dataset: str, varying: Collection[str]) -> str | None:
    """Return the command that trains some jobs again, and no others.

    It is planned before it is returned, as `orchestrator sweep` plans it. So it is None unless this version derives
    these very keys from it: not for jobs of an earlier version, nor for values that one cannot type.

    Args:
        jobs: Jobs of one configuration, by key; at least one.
        whole: The sweep's specification.
        dataset: The data set's digest.
        varying: Options to name also at their defaults, because they vary in the sweep.
    """
    first = next(iter(jobs.values()))
    vocabulary = vocabulary_of(first.trained_by, type(first.options))
    words: dict[str, object] = {"seeds": tuple(job.seed for job in jobs.values())}
    words |= {
        word: (getattr(first.options, entry.option),)
        for word, entry in vocabulary.words.items()
        if entry.option is not None and (entry.option in varying or _is_told(first, entry.option))
    }
    words["data"] = whole.data
    try:
        typed = {word: vocabulary.typed(word, value) for word, value in words.items()}
        read = vocabulary.parse({word: texts[0] for word, texts in typed.items()} | _trainer(first))
        derived = specification(read, vocabulary).jobs_by_key(dataset)
    except (SeedsweepError, ValueError):
        return None
    if derived.keys() != jobs.keys():
        return None
    command = ["orchestrator", "sweep"]
    if first.trainer != DEFAULT:
        command += ["--trainer", first.trainer]
    for word, texts in typed.items():
        command += _flags(vocabulary, word, texts[0], own=first.trainer == DEFAULT)
    text = shell(*command, "--no-reuse")
    return text if len(text) <= MAX_CHARACTERS else None


def verify(sweep: str, *words: str) -> str:
    """Return the command that trains the jobs that some words pick again, and compares every bit."""
    return shell("orchestrator", "verify", sweep, *words)


def picking(names: JobNames, job: Job) -> list[str]:
    """Return the words that pick all jobs of a job's configuration: `learning_rate=0.03`."""
    values = {name: getattr(job.options, name) for name in names.varying}
    return [
        f"{label(names.model, name)}={'none' if value is None else names.shown(name, value)}"
        for name, value in values.items()
    ]


def key_digits(keys: Sequence[str]) -> int:
    """Return how many digits of their keys tell jobs apart."""
    digits = KEY_DIGITS
    while len({key[:digits] for key in keys}) < len(keys):
        digits += 4
    return digits


def shell(*words: str) -> str:
    """Return words as a line for a shell; characters that one cannot see stand as escapes, which bash and zsh read."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if one_line(word) == word:
        return shlex.quote(word)
    escaped = re.sub(r"[\\']", lambda found: f"\\{found[0]}", word)
    return "$'" + "".join(_escaped(character) for character in escaped) + "'"


def _escaped(character: str) -> str:
    if one_line(character) == character:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _is_told(job: Job, name: str) -> bool:
    """Return whether a command has to name an option: it has no default, or several, or the job has another value."""
    info = type(job.options).model_fields[name]
    return info.is_required() or bool(option(info).values) or getattr(job.options, name) != info.default


def _trainer(job: Job) -> dict[str, object]:
    return {} if job.trainer == DEFAULT else {"trainer": job.trainer}


def _flags(vocabulary: Vocabulary, word: str, text: str, *, own: bool) -> list[str]:
    """Return what one types for a word; options of other trainers than `network` have no flags of their own."""
    entry = vocabulary.words[word]
    if entry.option is None or own:
        if entry.is_switch:
            return [flag(word) if text == "true" else flag(f"no_{word}")]
        return [flag(word), text]
    return ["--set", f"{word}={text}"]
