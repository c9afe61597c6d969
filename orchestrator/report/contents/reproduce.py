"""How to train each configuration and each job again, and how to check that the bits are the same."""

import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from nn.errors import SeedsweepError
from nn.options.describe import option
from orchestrator.analysis.leaderboard.table import ranked_jobs
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.parts import MOST_ROWS
from orchestrator.sweeps.fields import Vocabulary, flag, specification, vocabulary_of
from worker.job import Job
from worker.text import one_line
from worker.trainers.registry import DEFAULT

#: How many jobs are listed, the best first.
MOST_JOBS = 200
#: Longest command that is shown, in characters: a shell may refuse a longer one.
MAX_CHARACTERS = 5_000
#: Fewest digits of a key that name a job.
KEY_DIGITS = 12
#: The page does not say where the folder is: its readers may have it elsewhere, and local paths stay private.
PLACE = (
    "The commands of this page look for the sweep's folder in the folder runs of the working folder. If it is in "
    "another one, add --output with the path of that one."
)


class Again(NamedTuple):
    """A configuration of the table by its rank, or a job by its seed, and how to train it again.

    Attributes:
        number: The rank, or the seed.
        name: The options that vary; for a job, also its seed, and its score or how it ended.
        train: The command that trains its jobs again; None if there is none.
        verify: The command that trains them again and compares; None if there is nothing to compare with.
    """

    number: int
    name: str
    train: str | None
    verify: str | None


def promise(sweep: Sweep) -> str:
    """Return what the commands do, and whether the bits will be the same."""
    text = (
        "The first command trains the jobs of a row again, all of them and no others. The second one does so beside "
        "this sweep's folder, and says whether every bit is the same."
    )
    if all(job.is_exact for job in sweep.jobs.values()):
        return text
    return f"{text} Not all jobs are exact: another kind of CPU, or other packages, may give other bits."


def why_not(sweep: Sweep) -> str:
    """Return why a row may have no command, as a clause."""
    if all(job.is_current for job in sweep.jobs.values()):
        return "the command line has no words for its options"
    return "another version trained it, to other bits than the version that wrote this report"


def configurations(sweep: Sweep) -> list[Again]:
    """Return the configurations of the table."""
    found = []
    for standing in sweep.leaderboard.standings[:MOST_ROWS]:
        of_row = {key: sweep.jobs[key] for key in standing.scored.keys}
        first = next(iter(of_row.values()))
        can_be_compared = standing.n + standing.diverged > 0 and first.is_current
        verify = _verify(sweep, *sweep.names.picking(first.options), "--all") if can_be_compared else None
        found.append(Again(standing.rank, sweep.leaderboard.name(standing.options), again(sweep, of_row), verify))
    return found


def jobs(sweep: Sweep) -> list[Again]:
    """Return the first jobs by their score."""
    board, digits = sweep.leaderboard, KEY_DIGITS
    while len({key[:digits] for key in sweep.jobs}) < len(sweep.jobs):
        digits += 4
    found = []
    for _, entry in ranked_jobs(board)[:MOST_JOBS]:
        job = sweep.jobs[entry.key]
        said: str = entry.status
        verify = None
        if entry.score is not None:
            said = f"{sweep.names.metric.shown(entry.score)}{', diverged' if entry.status == 'diverged' else ''}"
            verify = _verify(sweep, entry.key[:digits]) if job.is_current else None
        name = f"{sweep.names.job(job.seed, job.options)}: {said}"
        found.append(Again(job.seed, name, again(sweep, {entry.key: job}), verify))
    return found


def _verify(sweep: Sweep, *words: str) -> str:
    return shell("orchestrator", "verify", sweep.name, *words)


# The commands


def again(sweep: Sweep, jobs: Mapping[str, Job]) -> str | None:
    """Return the command that trains some jobs of one configuration again, or None; it names each option that varies.

    The command is first planned as `orchestrator sweep` plans it, and must give the same keys. So there is none for
    jobs of an earlier version, nor for values that cannot be typed.
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
