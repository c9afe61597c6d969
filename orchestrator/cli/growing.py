"""`orchestrator extend`: reads its arguments, calls the command, shows its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from nn.errors import InvalidInputError
from orchestrator.cli.outcome import interruptible, outcome, place_flags, show_result
from orchestrator.cli.output import complain
from orchestrator.cli.progress import progress_for
from orchestrator.cli.words.arguments import embedded_workers, output_folder, settings_for, sweep_name
from orchestrator.cli.words.options import GrowthOptions
from orchestrator.cli.words.typed import TypedWords
from orchestrator.commands.growing.extend import plan_extension
from orchestrator.commands.growing.rounds import GrowthPlan, begin
from orchestrator.commands.sweep import train
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.fields import Vocabulary
from orchestrator.sweeps.specification import SweepSpecification


def run_extend(words: Mapping[str, object], varied: Sequence[str], options: GrowthOptions) -> int:
    """Extend a sweep and return the exit status of `orchestrator sweep`.

    Args:
        words: What was typed after the flags of seeds and training options, by word.
        varied: What was typed after each `--grid`.
        options: The other options.

    Raises:
        SeedsweepError: bad input; nothing was begun.
    """
    console = Console(stderr=options.json, highlight=False)
    with interruptible() as interruption:
        plan = _plan(words, varied, options)
        with begin(plan, interruption) as session, outcome(session, resumption(options)):
            result = train(session, reuse=options.reuse, display=partial(progress_for, console))
    return show_result(console, result, as_json=options.json)


def resumption(options: GrowthOptions) -> list[str]:
    """Return the command that goes on with a sweep after it was extended."""
    command = ["orchestrator", "sweep", "--resume", "--name", options.name]
    return [*command, *place_flags(options.output, options.broker)]


def _plan(words: Mapping[str, object], varied: Sequence[str], options: GrowthOptions) -> GrowthPlan:
    folder = SweepFolder(output_folder(options.output), sweep_name(options.name))
    own = folder.manifest().grown
    typed = TypedWords(words, (), varied)
    vocabulary = typed.vocabulary({"trainer": own.trainer, **own.options})
    values = _values(typed, vocabulary, own)
    settings = settings_for(options.broker)
    workers = embedded_workers(options.workers, settings, options.broker)
    seeds = values.pop("seeds", ())
    grid = {str(vocabulary.words[word].option): each for word, each in values.items()}
    try:
        return plan_extension(folder, settings, seeds=seeds, values=grid, workers=workers, tell=complain)
    except InvalidInputError as error:
        if error.field not in vocabulary.spelled:
            raise
        field = typed.spelled(vocabulary.spelled[error.field], vocabulary, None)
        raise InvalidInputError(field, error.value, error.allowed) from None


def _values(typed: TypedWords, vocabulary: Vocabulary, own: SweepSpecification) -> dict[str, Any]:
    """Return the values of the words; reject those that are neither seeds nor options."""
    values = typed.values(vocabulary, complain)
    for word, value in values.items():
        if word != "seeds" and vocabulary.words[word].option is None:
            field = typed.spelled(word, vocabulary, None)
            allowed = f"nothing, because a sweep keeps its {word}; further seeds or values of {', '.join(own.axes)}"
            raise InvalidInputError(field, vocabulary.written(word, value), allowed)
    return values
