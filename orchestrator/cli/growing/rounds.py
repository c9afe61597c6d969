"""`orchestrator extend` and `orchestrator confirm`: read their arguments, call the command, show its result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Console

from nn.errors import InvalidInputError
from nn.options import describe
from orchestrator.analysis.confirmation import Confirmation, Sample
from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.statistics.intervals import Interval
from orchestrator.cli.outcome import interruptible, outcome, place_flags, show_result
from orchestrator.cli.output import complain, print_table, say
from orchestrator.cli.progress import progress_for
from orchestrator.cli.words.arguments import embedded_workers, output_folder, settings_for, sweep_name
from orchestrator.cli.words.options import GrowthOptions
from orchestrator.cli.words.typed import TypedWords
from orchestrator.commands.growing.confirm import DEFAULT_SEEDS, ConfirmationResult, confirmed, plan_confirmation
from orchestrator.commands.growing.extend import plan_extension
from orchestrator.commands.growing.rounds import GrowthPlan, begin
from orchestrator.commands.sweep import train
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.fields import Vocabulary, seeds_as_text, vocabulary
from orchestrator.sweeps.specification import SweepSpecification
from orchestrator.text import counted
from worker.trainers.protocol import Metric


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


def run_confirm(top: str | None, seeds: str | None, options: GrowthOptions) -> int:
    """Confirm the leaders of a sweep and return the exit status of `orchestrator sweep`.

    Args:
        top: What was typed after `--top`.
        seeds: What was typed after `--seeds`.
        options: The other options.

    Raises:
        SeedsweepError: bad input; nothing was begun.
    """
    console = Console(stderr=options.json, highlight=False)
    with interruptible() as interruption:
        plan = _plan_confirmation(top, seeds, options)
        # Repeated, the command goes on and shows what it found.
        given = [
            word for option, text in (("--top", top), ("--seeds", seeds)) if text is not None for word in (option, text)
        ]
        again = ["orchestrator", "confirm", options.name, *given, *place_flags(options.output, options.broker)]
        with begin(plan, interruption) as session, outcome(session, again):
            swept = train(session, reuse=options.reuse, display=partial(progress_for, console))
            result = confirmed(session, swept)
    status = show_result(console, swept, as_json=options.json, confirmed=as_dict(result))
    if not options.json:
        print_confirmation(console, result)
    return status


def _plan_confirmation(top: str | None, seeds: str | None, options: GrowthOptions) -> GrowthPlan:
    folder = SweepFolder(output_folder(options.output), sweep_name(options.name))
    settings = settings_for(options.broker)
    workers = embedded_workers(options.workers, settings, options.broker)
    given = {"top": _number("--top", top), "seeds": DEFAULT_SEEDS if seeds is None else _seeds(seeds)}
    try:
        return plan_confirmation(folder, settings, **given, workers=workers, tell=complain)  # type: ignore[arg-type]
    except InvalidInputError as error:
        if error.field not in given:
            raise
        raise InvalidInputError(f"--{error.field}", error.value, error.allowed) from None


def _number(option: str, text: str | None) -> int | None:
    if text is not None and not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidInputError(option, text, "a positive integer")
    return None if text is None else int(text)


def _seeds(text: str) -> int | tuple[int, ...]:
    """Return a number of seeds, or the seeds of a list or a range."""
    if "," in text or "-" in text:
        read: tuple[int, ...] = vocabulary().parse({"seeds": text})["seeds"]
        return read
    return int(_number("--seeds", text) or 0)


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


def print_confirmation(console: Console, result: ConfirmationResult) -> None:
    """Print each configuration's mean before and under the fresh seeds, and a sentence about the leader."""
    board = result.sweep.leaderboard
    rows = [
        (
            str(place),
            *(board.names.shown(name, value) for name, value in each.options.items()),
            _number_or_dash(board.metric, each.before.mean),
            _seeds_of(each.before),
            _with_interval(board.metric, each.fresh.mean, each.fresh.interval),
            _seeds_of(each.fresh),
            _shrinkage(board.metric, each),
        )
        for place, each in enumerate(result.confirmed, 1)
    ]
    unit = ", in %" if board.metric.is_share else ""
    fresh = counted(len(result.seeds), "fresh seed")
    say(console, f"\nThe leaders under {fresh} ({seeds_as_text(result.seeds)}): {board.metric.name}{unit}")
    varying = (describe.heading(board.names.model, name) for name in result.confirmed[0].options)
    headings = ("rank before", *varying, "before", "seeds", "fresh", "fresh seeds", "shrinkage")
    print_table(console, headings, rows, spare=("rank before", "fresh seeds", "seeds"))
    say(console, sentence(result))


def sentence(result: ConfirmationResult) -> str:
    """Return what the fresh seeds say about the configuration that led, and which one leads under them."""
    board, leader = result.sweep.leaderboard, result.confirmed[0]
    if leader.fresh.mean is None:
        return "No job under the fresh seeds trained to its end"
    metric, unit = board.metric, " %" if board.metric.is_share else ""
    name = _name(board, leader) or "the configuration"
    found = f"{_with_interval(metric, leader.fresh.mean, leader.fresh.interval)}{unit}"
    before = f"{_number_or_dash(metric, leader.before.mean)}{unit}"
    text = (
        f"Under fresh seeds, {name} has {found}; it was chosen with {before} over "
        f"{_seeds_of(leader.before)} seeds: shrinkage {_shrinkage(metric, leader)}{' points' if unit else ''}"
    )
    sign = 1 if metric.higher_is_better else -1
    ranked = [each for each in result.confirmed if each.fresh.mean is not None]
    first = max(ranked, key=lambda each: sign * (each.fresh.mean or 0.0))
    return text if first is leader else f"{text}. The best mean under fresh seeds has {_name(board, first)}"


def _name(board: Leaderboard, each: Confirmation) -> str:
    return ", ".join(
        f"{describe.heading(board.names.model, name)} {board.names.shown(name, value)}"
        for name, value in each.options.items()
    )


def _seeds_of(sample: Sample) -> str:
    return f"{sample.seeds} ({sample.diverged} diverged)" if sample.diverged else str(sample.seeds)


def _number_or_dash(metric: Metric, value: float | None) -> str:
    return "-" if value is None else metric.number(value)


def _with_interval(metric: Metric, value: float | None, interval: Interval | None) -> str:
    number = _number_or_dash(metric, value)
    return number if interval is None else f"{number} ± {metric.number(interval.half_width)}"


def _shrinkage(metric: Metric, each: Confirmation) -> str:
    difference = each.shrinkage
    return "-" if difference is None else _with_interval(metric, difference.mean, difference.interval)


def as_dict(result: ConfirmationResult) -> dict[str, Any]:
    """Return a confirmation for JSON: the seeds, and for each configuration what it had before and has now."""
    return {"seeds": list(result.seeds), "configurations": [asdict(each) for each in result.confirmed]}
