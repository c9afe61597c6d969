"""`orchestrator compare`: compares two configurations of one sweep, or of two."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nn.errors import Described, InvalidInputError
from nn.options.describe import heading, shown
from orchestrator.analysis.comparison import Comparison, compare
from orchestrator.analysis.leaderboard.scores import OWN_SPLITS
from orchestrator.analysis.lookup import Chosen
from orchestrator.analysis.selection import split
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import print_json, print_table, say
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AnySweep, AsJson, Metric, Output, positive, sides
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import open_sweep
from orchestrator.text import probability

#: What the arguments after the first sweep may be.
ALLOWED = (
    "another sweep; two configurations; or another sweep and one configuration for both or one of each. A "
    "configuration is NAME=VALUE, or several of them in quotes"
)


def command(
    folder: AnySweep,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="B",
            autocompletion=sides,
            help="Another sweep; or two configurations: learning_rate=0.01 learning_rate=0.03.",
        ),
    ] = None,
    within: Annotated[
        float | None, positive("How large a difference does not matter, such as 0.001 for 0.1 points.")
    ] = None,
    metric: Metric = None,
    output: Output = DEFAULT_OUTPUT,
    as_json: AsJson = False,
) -> int:
    """Compare two configurations of one sweep, or the leaders of two sweeps.

    A configuration of several options is written in quotes: "learning_rate=0.01 epochs=5". Two sweeps can be followed
    by one configuration, that of both, or by two, one of each.

    Exit status: 0 if the difference is decided, 1 if it is not.

    Example: orchestrator compare night-run learning_rate=0.01 learning_rate=0.03 --within 0.001
    """
    second, pair = _sides(folder, words or [], output)
    one = Sweep.read(folder, metric)
    other = one if second.path.resolve() == folder.path.resolve() else Sweep.read(second, str(one.scoring))
    found = compare(one, other, *pair, tolerance=within or 0.0)
    if as_json:
        print_json(found.as_dict())
    else:
        console = Console()
        unit = " in %" if found.metric.is_share else ""
        say(console, str(found))
        rows = [(name, *_figures(found, side)) for name, side in (("a", found.a), ("b", found.b))]
        print_table(console, ("", "configuration", "n", f"mean{unit}", "95 % interval"), rows)
        for line in _details(found):
            say(console, line)
    return 0 if found.decided else 1


def _sides(
    first: SweepFolder, others: Sequence[str], root: Path
) -> tuple[SweepFolder, tuple[Sequence[str], Sequence[str]]]:
    """Return the second sweep, and the words that name a configuration of each."""
    # A sweep's name has no equals sign; its path may.
    sweeps = [each for each in others if "=" not in each.split("/")[0]]
    words = [split(each, "B") for each in others if each not in sweeps]
    fits = len(words) == 2 if not sweeps else len(words) <= 2
    if len(sweeps) > 1 or not fits or sweeps != list(others[: len(sweeps)]):
        raise InvalidInputError("B", " ".join(others) or Described("missing"), ALLOWED)
    return open_sweep(sweeps[0], root) if sweeps else first, (words[0], words[-1]) if words else ((), ())


def _figures(found: Comparison, side: Chosen) -> tuple[str, ...]:
    scored, interval, number = side.scored, side.interval, found.metric.number
    ends = "-" if interval is None else f"{number(interval.low)} to {number(interval.high)}"
    return side.name, f"{len(scored.trained)}/{len(scored.entries)}", number(scored.mean), ends


def _details(found: Comparison) -> list[str]:
    difference, lines = found.difference, _differing(found)
    if difference is None:
        return lines
    if difference.interval is not None:
        how = {
            "paired t": f"over the {difference.n} common seeds: paired t",
            "Welch t": "of the two means, because the seeds are not the same: Welch t",
            "group-sequential t": f"over the first {difference.n} common seeds, valid at all looks: group-sequential t",
            "confidence sequence": "of the two means, valid however often one looks: confidence sequence",
        }[difference.method]
        leads = any(each.honest_mean is not None for each in (found.a, found.b))
        counts = "that allows for the choice of a leader" if leads else "for this pair alone"
        lines.append(f"The difference, with its 95 % interval {counts}, is {how}")
    if found.a.scored.draws_split:
        lines.append(OWN_SPLITS)
    if found.new_images is not None:
        # Answers are known where the metric is a share.
        low, high = (f"{100 * end:+.2f}" for end in (found.new_images.low, found.new_images.high))
        lines.append(f"a - b on new samples: {low} to {high} points (95 % interval, seeds and samples)")
    if found.win_probability is not None:
        won = probability(found.win_probability)
        lines.append(f"a random seed of a is better than one of b with probability {won}")
    # Only of leaders whose mean selection has changed: a leader without any one seed may be the same one.
    shown, sides = found.metric.shown, (("a", found.a), ("b", found.b))
    means = [(name, shown(side.honest_mean), shown(side.scored.mean)) for name, side in sides]
    told = [f"{name} {honest}" for name, honest, mean in means if honest not in (shown(None), mean)]
    return [*lines, f"The leader's mean, corrected for selection: {', '.join(told)}"] if told else lines


def _differing(found: Comparison) -> list[str]:
    first, second = (side.configuration for side in (found.a, found.b))
    if found.a.sweep is found.b.sweep:
        return []
    if first.trainer != second.trainer:
        return [f"Their trainers are {first.trainer} and {second.trainer}"]
    model = type(first.options)
    told = [
        f"{heading(model, name)} "
        + " and ".join(shown(model.model_fields[name], getattr(each.options, name)) for each in (first, second))
        for name in model.model_fields
        if name in type(second.options).model_fields and getattr(first.options, name) != getattr(second.options, name)
    ]
    return [f"They differ in {', '.join(told)}"] if told else []
