"""Shell commands that train jobs of a sweep again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from nn.errors import SeedsweepError
from nn.options.describe import option
from orchestrator.analysis.sweep import Sweep
from orchestrator.sweeps.fields import Vocabulary, flag, specification, vocabulary_of
from worker.job import Job
from worker.text import one_line
from worker.trainers.registry import DEFAULT

#: Longest command that is shown, in characters: a shell may refuse a longer one.
MAX_CHARACTERS = 5_000


def again(sweep: Sweep, jobs: Mapping[str, Job]) -> str | None:
    """Return the command that trains exactly some jobs again, or None; it names each option that varies.

    The command is first planned as `orchestrator sweep` plans it, and must give the same keys. So there is none for
    jobs of an earlier version, nor for values that cannot be typed.

    Args:
        sweep: The sweep.
        jobs: Jobs of one configuration, by key; at least one.
    """
    first = next(iter(jobs.values()))
    vocabulary = vocabulary_of(first.trained_by, type(first.options))
    words: dict[str, object] = {"seeds": tuple(job.seed for job in jobs.values())}
    words |= {
        word: (getattr(first.options, entry.option),)
        for word, entry in vocabulary.words.items()
        if entry.option is not None and (entry.option in sweep.names.varying or _is_told(first, entry.option))
    }
    words["data"] = sweep.manifest.specification.data
    own = first.trainer == DEFAULT
    trainer = {} if own else {"trainer": first.trainer}
    try:
        typed = {word: vocabulary.typed(word, value)[0] for word, value in words.items()}
        planned = specification(vocabulary.parse({**typed, **trainer}), vocabulary)
        derived = planned.jobs_by_key(sweep.manifest.dataset)
    except (SeedsweepError, ValueError):
        return None
    if derived.keys() != jobs.keys():
        return None
    flags = [each for word, text in typed.items() for each in _flags(vocabulary, word, text, own=own)]
    text = shell("orchestrator", "sweep", *(() if own else ("--trainer", first.trainer)), *flags, "--no-reuse")
    return text if len(text) <= MAX_CHARACTERS else None


def shell(*words: str) -> str:
    """Return words as a shell command; invisible characters become escapes, which bash and zsh read."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if one_line(word) == word:
        return shlex.quote(word)
    # `one_line` writes these as \\, ' and \x80 to \xad: a shell would take \x80 for a byte.
    return "$'" + one_line(re.sub(r"[\\'\x80-\x9f\xad]", lambda found: f"\\u{ord(found[0]):04x}", word)) + "'"


def _is_told(job: Job, name: str) -> bool:
    """Return whether a command must name an option: it has no default or several, or the job has another value."""
    info = type(job.options).model_fields[name]
    return info.is_required() or bool(option(info).values) or getattr(job.options, name) != info.default


def _flags(vocabulary: Vocabulary, word: str, text: str, *, own: bool) -> list[str]:
    """Return the arguments for a word; only options of the trainer `network` have flags of their own."""
    entry = vocabulary.words[word]
    if entry.option is None or own:
        if entry.is_switch:
            return [flag(word) if text == "true" else flag(f"no_{word}")]
        return [flag(word), text]
    return ["--set", f"{word}={text}"]
