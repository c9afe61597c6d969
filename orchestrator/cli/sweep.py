"""`orchestrator sweep` and `orchestrator init`: read their arguments, call the command, show its result."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from nn.errors import DatasetError, Described, InvalidInputError
from orchestrator.cli.outcome import interruptible, outcome, place_flags, show_result
from orchestrator.cli.output import complain, say
from orchestrator.cli.progress import progress_for
from orchestrator.cli.publishing.report import written_report
from orchestrator.cli.words.arguments import embedded_workers, output_folder, settings_for
from orchestrator.cli.words.options import SweepOptions
from orchestrator.cli.words.typed import TypedWords
from orchestrator.commands.init import init
from orchestrator.commands.plan import SweepPlan
from orchestrator.commands.result import SweepResult
from orchestrator.commands.sweep import begin, plan_resumption, plan_sweep, train
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report import packages
from orchestrator.sweeps.builder import specification
from orchestrator.sweeps.fields import Vocabulary, flag
from orchestrator.sweeps.files import SpecificationFile
from orchestrator.sweeps.manifest import Manifest, free_name
from worker.settings import Settings
from worker.text import printable
from worker.trainers.registry import DEFAULT


def run_sweep(words: Mapping[str, object], options: SweepOptions) -> int:
    """Run a sweep and return the exit status: 0 if every job has a result, 1 if not, 129, 130 or 143 after a signal.

    Raises:
        SeedsweepError: bad input; nothing was begun.
    """
    console = Console(stderr=options.json, highlight=False)
    if options.report:
        packages.require("--report")
    with interruptible() as interruption:
        plan = make_plan(words, options)
        command = ["orchestrator", "sweep", "--resume", "--name", plan.folder.name]
        command += place_flags(options.output, options.broker)
        with begin(plan, interruption) as session, outcome(session, command):
            result = train(session, reuse=options.reuse, display=partial(progress_for, console))
        if not options.report:
            return show_result(console, result, as_json=options.json)
        return _show_with_report(console, result, plan.folder, as_json=options.json)


def _show_with_report(console: Console, result: SweepResult, folder: SweepFolder, *, as_json: bool) -> int:
    """Print the result and write the report, whose failure is said and changes nothing else."""
    if as_json:
        path = written_report(folder)
        return show_result(console, result, as_json=True, report=None if path is None else str(path))
    status = show_result(console, result, as_json=False)
    path = written_report(folder)
    if path is not None:
        say(console, f"Report: {path}")
    return status


def run_init(file: str, trainer: str | None, fixed: Sequence[str], *, as_json: bool) -> int:
    """Write a specification file, say how to use it, and return the exit status.

    Raises:
        SeedsweepError: the file exists, or cannot be written; or the trainer or an option is invalid.
    """
    if not file or "\0" in file:
        raise InvalidInputError("FILE", file, "the path of a file that does not exist yet")
    typed = TypedWords({} if trainer is None else {"trainer": trainer}, fixed, ())
    vocabulary = typed.vocabulary({})
    values = typed.values(vocabulary, complain)
    with _as_typed(typed, vocabulary, None):
        made = specification(values, vocabulary)
    init(Path(file), made)
    if as_json:
        print(json.dumps({"file": file}))
    else:
        print(printable(f"Wrote {file}; run it with: {shlex.join(['orchestrator', 'sweep', '--spec', file])}"))
    return 0


def make_plan(words: Mapping[str, object], options: SweepOptions) -> SweepPlan:
    """Turn the words into values, and plan the sweep that they describe, or the one that `--resume` goes on with.

    Args:
        words: The specification's words as they were typed.
        options: The other options.

    Raises:
        SeedsweepError: bad input; the message is one sentence and spells each field as the user did.
    """
    notes: list[str] = []
    file = None if options.spec is None else _file(options.spec)
    typed = TypedWords(words, options.fixed, options.varied)
    vocabulary = typed.vocabulary({} if file is None else file.words)
    values = typed.values(vocabulary, notes.append)
    if file is not None:
        values = file.values(vocabulary, notes.append) | values
    settings = settings_for(options.broker)
    workers = embedded_workers(options.workers, settings, options.broker)
    folder = SweepFolder(output_folder(options.output), _name(options))
    if options.resume:
        plan = plan_resumption(folder, settings, workers=workers, tell=complain)
        _refuse_difference(values, typed, vocabulary, options.spec, plan.manifest)
    else:
        plan = _plan_new(values, typed, vocabulary, options, folder, settings, workers)
    for note in notes:
        complain(note)
    return plan


def _plan_new(
    values: dict[str, Any],
    typed: TypedWords,
    vocabulary: Vocabulary,
    options: SweepOptions,
    folder: SweepFolder,
    settings: Settings,
    workers: int | None,
) -> SweepPlan:
    words = _from_environment(settings, vocabulary, values) | values
    try:
        with _as_typed(typed, vocabulary, options.spec):
            made = specification(words, vocabulary)
            return plan_sweep(folder, made, settings, workers=workers, tell=complain)
    except DatasetError as error:
        if "data" in values or settings.data is None or settings.trainer != made.trainer:
            raise
        raise DatasetError(f"SEEDSWEEP_DATA: {error}") from None


@contextlib.contextmanager
def _as_typed(typed: TypedWords, vocabulary: Vocabulary, spec: str | None) -> Iterator[None]:
    """Let errors spell words as the user did."""
    try:
        yield
    except InvalidInputError as error:
        if error.field not in vocabulary.spelled:
            raise
        field = typed.spelled(vocabulary.spelled[error.field], vocabulary, spec)
        raise InvalidInputError(field, error.value, error.allowed) from None


def _name(options: SweepOptions) -> str:
    if options.name is not None:
        return options.name
    if options.resume:
        raise InvalidInputError("--name", Described("missing"), "the name of the sweep that --resume goes on with")
    return free_name(output_folder(options.output))


def _file(spec: str) -> SpecificationFile:
    # An empty path would be the current folder.
    if not spec:
        raise InvalidInputError("--spec", spec, "the path of a TOML file, or of a sweep's sweep.json")
    return SpecificationFile(Path(spec))


def _from_environment(settings: Settings, vocabulary: Vocabulary, values: Mapping[str, Any]) -> dict[str, Any]:
    # The variables are a worker's, too: its data set is one of its trainer.
    trainer = values.get("trainer", DEFAULT)
    if "data" in values or settings.data is None or settings.trainer != trainer:
        return {}
    return vocabulary.parse({"data": settings.data}, spell=lambda _: "SEEDSWEEP_DATA")


def _refuse_difference(
    values: Mapping[str, Any], typed: TypedWords, vocabulary: Vocabulary, spec: str | None, earlier: Manifest
) -> None:
    """Reject words that differ from the sweep's own specification."""
    for word, value in values.items():
        own = vocabulary.value_of(earlier.specification, word)
        if value == own:
            continue
        field = typed.spelled(word, vocabulary, spec)
        text = vocabulary.written(word, value)
        shown = typed.given.get(word, Described(text))
        if isinstance(shown, tuple):
            shown = text
        allowed = f"{vocabulary.written(word, own)}, as the sweep {earlier.name} began (or leave it out)"
        if own in (None, (None,)):
            allowed = f"nothing, as the sweep {earlier.name} began without it"
        elif word in typed.given and vocabulary.words[word].is_switch:
            field, shown = _switches(word, value), Described("given")
            allowed = f"{_switches(word, own)}, as the sweep {earlier.name} began (or leave it out)"
        raise InvalidInputError(field, shown, allowed)


def _switches(word: str, values: Sequence[bool]) -> str:
    return " and ".join(flag(word if on else f"no_{word}") for on in values)
