"""`orchestrator compare`: reads its arguments, calls the command, shows its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nn.errors import Described, InvalidInputError
from nn.options.describe import heading, shown
from orchestrator.analysis.comparison import Comparison, Side, sentence
from orchestrator.analysis.lookup import open_sweep
from orchestrator.cli.output import print_table, say
from orchestrator.cli.words.arguments import output_folder
from orchestrator.commands.answers.compare import compare
from orchestrator.folder.sweep_folder import SweepFolder

#: What the arguments after the first sweep may be.
ALLOWED = (
    "another sweep; two configurations; or another sweep and one configuration for both or one of each. A "
    "configuration is NAME=VALUE, or several of them in quotes"
)


def run_compare(sweep: str, others: Sequence[str], tolerance: str | None, output: str, *, as_json: bool) -> int:
    """Print the comparison of two configurations, and return the exit status: 0 if it is decided, else 1.

    Raises:
        SeedsweepError: bad input, or a folder that cannot be read.
    """
    root = output_folder(output)
    most = 0.0 if tolerance is None else _tolerance(tolerance)
    first, second, words = _sides(sweep, others, root)
    try:
        found = compare(first, second, *words, tolerance=most)
    except InvalidInputError as error:
        if error.field != "tolerance":
            raise
        raise InvalidInputError("--within", tolerance, error.allowed) from None
    if as_json:
        print(json.dumps(found.as_dict(), allow_nan=False))
    else:
        _print(Console(), found)
    return 0 if found.decided else 1


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise InvalidInputError("--within", text, "a finite number greater than 0, in the unit of the metric")
    return value


def _sides(
    sweep: str, others: Sequence[str], root: Path
) -> tuple[SweepFolder, SweepFolder, tuple[Sequence[str], Sequence[str]]]:
    """Return the two sweeps, and the words that name a configuration of each."""
    # No name of a sweep has an equals sign; the path of one may.
    is_configuration = ["=" in each.split("/")[0] for each in others]
    sweeps = [each for each, it_is in zip(others, is_configuration, strict=True) if not it_is]
    words = [each.split() for each, it_is in zip(others, is_configuration, strict=True) if it_is]
    fits = len(words) == 2 if not sweeps else len(words) <= 2
    if len(sweeps) > 1 or not fits or is_configuration != sorted(is_configuration):
        raise InvalidInputError("B", Described(" ".join(others) or "missing"), ALLOWED)
    first = open_sweep(sweep, root)
    second = open_sweep(sweeps[0], root) if sweeps else first
    pair = (words[0], words[-1]) if words else ((), ())
    return first, second, pair


def _print(console: Console, found: Comparison) -> None:
    metric = found.metric
    unit = " in %" if metric.is_share else ""
    say(console, sentence(found))
    rows = [
        (
            name,
            side.name,
            f"{len(side.chosen.scored.trained)}/{len(side.chosen.scored.entries)}",
            *_figures(found, side),
        )
        for name, side in (("a", found.a), ("b", found.b))
    ]
    print_table(console, ("", "configuration", "n", f"mean{unit}", "95 % interval"), rows)
    for line in _details(found):
        say(console, line)


def _figures(found: Comparison, side: Side) -> tuple[str, str]:
    mean, interval, number = side.chosen.scored.mean, side.interval, found.metric.number
    ends = "-" if interval is None else f"{number(interval.low)} to {number(interval.high)}"
    return "-" if mean is None else number(mean), ends


def _details(found: Comparison) -> list[str]:
    """Return the lines below the table: what was computed, and how."""
    difference, lines = found.difference, _differing(found)
    if difference is None:
        return lines
    interval = difference.interval
    if interval is not None:
        how = {
            "paired t": f"t interval, paired on {difference.n} common seeds",
            "Welch t": "t interval of Welch: the seeds are not the same",
        }.get(difference.method, "confidence sequence, valid however often one looks")
        lines.append(f"a - b: {_signed(found, difference.mean, interval.low, interval.high)} ({how})")
    if found.new_images is not None:
        new = found.new_images
        lines.append(f"on new samples: {_signed(found, None, new.low, new.high)} (seeds and samples)")
    if found.win_probability is not None:
        lines.append(f"a random seed of a is better than one of b with probability {found.win_probability:.2f}")
    return lines + _flattery(found)


def _signed(found: Comparison, mean: float | None, low: float, high: float) -> str:
    factor, unit, digits = (100, " points", "+.2f") if found.metric.is_share else (1, "", "+.5g")
    ends = f"{factor * low:{digits}} to {factor * high:{digits}}{unit}"
    return ends if mean is None else f"{factor * mean:{digits}}{unit}, 95 % interval {ends}"


def _differing(found: Comparison) -> list[str]:
    """Name the options in which configurations of two sweeps differ."""
    first, second = (side.chosen.configuration for side in (found.a, found.b))
    if found.a.chosen.sweep is found.b.chosen.sweep:
        return []
    if first.trainer != second.trainer:
        return [f"Their trainers are {first.trainer} and {second.trainer}"]
    model = type(first.options)
    names = [
        name
        for name in model.model_fields
        if name in type(second.options).model_fields and getattr(first.options, name) != getattr(second.options, name)
    ]
    told = [
        f"{heading(model, name)} "
        + " and ".join(shown(model.model_fields[name], getattr(each.options, name)) for each in (first, second))
        for name in names
    ]
    return [f"They differ in {', '.join(told)}"] if told else []


def _flattery(found: Comparison) -> list[str]:
    told = [
        f"{name}: {found.metric.shown(side.chosen.honest_mean)}"
        for name, side in (("a", found.a), ("b", found.b))
        if side.chosen.honest_mean is not None
    ]
    if not told:
        return []
    return [
        f"chosen for its results, a leader's mean is flattered; had each seed no part in the choice: {', '.join(told)}"
    ]
