"""Make the tables and lists of docs/results/index.md, as Markdown."""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
from results_networks import Forward, Network

from nn.options.network import NetworkOptions
from orchestrator.folder.rows import Row

KINDS = ("0.0", "between 0.0 and 10.5", "10.5", "between 10.5 and 94.5", "94.5")
N_VALIDATION = 10_500


def network_options(row: Row) -> NetworkOptions:
    """Return the options of a row of the trainer `network`."""
    return cast("NetworkOptions", row.options)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table with right-aligned columns."""
    lines = [headings, ["---:"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def kind(printed: float) -> str:
    """Return the kind of a printed accuracy; the notebook's averages are exact to about 13 digits."""
    printed = round(printed, 6)
    for value, below in ((0.0, KINDS[0]), (10.5, KINDS[1]), (94.5, KINDS[3])):
        if printed == value:
            return str(value)
        if printed < value:
            return below
    raise ValueError(f"the notebook cannot print {printed}")


def over_epochs(row: Row, accuracies: Sequence[float]) -> list[float]:
    """Return an accuracy for each epoch of a row's job: training that ended early stays at the last one."""
    return [*accuracies, *[accuracies[-1]] * (network_options(row).epochs - len(accuracies))]


def printed_by_epoch(row: Row, network: Network) -> list[float]:
    """Return the accuracies that the notebook would print: before training, then after each epoch."""
    return [network.before.printed, *over_epochs(row, row.others.get("notebook_accuracy") or [])]


def percent(share: float, digits: int = 2) -> str:
    """Return a share in percent, without the percent sign."""
    return f"{100 * share:.{digits}f}"


def counts_table(rows: list[Row], networks: list[Network]) -> str:
    """Count each kind of printed accuracy, with the true accuracy of those networks."""
    lines = []
    for name in KINDS:
        chosen = [
            (row, network)
            for row, network in zip(rows, networks, strict=True)
            if kind((row.others.get("notebook_accuracy") or [])[-1]) == name
        ]
        true = [row.validation_score[-1] for row, _ in chosen]
        constant = sum(_is_constant(network.after) for _, network in chosen)
        spread = (percent(statistics.fmean(true)), percent(min(true)), percent(max(true))) if true else ("-",) * 3
        lines.append((name, len(chosen), percent(len(chosen) / len(rows), 1), constant, *spread))
    true = [row.validation_score[-1] for row in rows]
    constant = sum(_is_constant(network.after) for network in networks)
    total = (percent(statistics.fmean(true)), percent(min(true)), percent(max(true)))
    lines.append(("**all**", len(rows), "100.0", constant, *total))
    headings = ("printed after the last epoch", "networks", "%", "of these, predict one class for all images",
                "true accuracy in %, mean", "lowest", "highest")  # fmt: skip
    return table(headings, lines)


def epochs_table(rows: list[Row], networks: list[Network]) -> str:
    """Count the kinds of printed accuracy after each epoch."""
    series = [printed_by_epoch(row, network) for row, network in zip(rows, networks, strict=True)]
    lines = []
    for epoch in range(len(series[0])):
        names = [kind(printed[epoch]) for printed in series]
        moved = [abs(printed[epoch] - printed[epoch - 1]) > 1 for printed in series] if epoch else None
        lines.append((epoch or "before training", *map(names.count, KINDS), "-" if moved is None else sum(moved)))
    return table(("epoch", *KINDS, "networks that moved by more than 1"), lines)


def jumps_table(rows: list[Row], networks: list[Network]) -> str:
    """List the largest rises of the printed accuracy: first over any epoch, then over those after the first."""
    rises = []
    for row, network in zip(rows, networks, strict=True):
        printed = printed_by_epoch(row, network)
        rises += [
            (after - before, row.seed, epoch, before, after)
            for epoch, (before, after) in enumerate(itertools.pairwise(printed))
            if before > 1
        ]
    rises.sort(key=lambda rise: (-rise[0], rise[1]))
    during = [rise for rise in rises if rise[2] > 0]
    lines = [
        (seed, f"{epoch} to {epoch + 1}" if epoch else "start to 1", f"{before:.3f}", f"{after:.3f}")
        for _, seed, epoch, before, after in rises[:5] + [rise for rise in during if rise not in rises[:5]][:5]
    ]
    return table(("seed", "epochs", "printed before", "printed after"), lines)


def networks_list(networks: list[Network]) -> str:
    """Say what training changed in the networks, as a list."""
    count = len(networks)
    before = [network.before for network in networks]
    after = [network.after for network in networks]
    uneven = max(network.unevenness for network in networks)
    changed = sum(network.output_layer_effect for network in networks)
    saturated = [percent(statistics.fmean(f.saturated for f in forwards), 1) for forwards in (before, after)]
    largest = [percent(statistics.median(map(_largest_share, forwards)), 1) for forwards in (before, after)]
    constants = [sum(map(_is_constant, forwards)) for forwards in (before, after)]
    kept = sum(int(np.argmax(b.of_each) == np.argmax(a.of_each)) for b, a in zip(before, after, strict=True))
    items = (
        f"Over all {count} networks and all layers, no weight's change differs from the mean change of its layer by "
        f"more than {uneven:.0e}: rounding.",
        f"With the initial output layer put back, {changed} of {count} x {N_VALIDATION:,} predictions change.",
        f"Activations of hidden nodes below 0.01 or above 0.99: {saturated[0]} % before training, {saturated[1]} % "
        "after it (means over the networks).",
        f"The class that a network predicts most often takes {largest[0]} % of the images before training and "
        f"{largest[1]} % after it (medians); {constants[0]} networks predicted a single class before, and "
        f"{constants[1]} after.",
        f"{kept} of {count} networks predict the same class most often before and after training.",
    )
    return listed(items)


def _largest_share(forward: Forward) -> float:
    return float(forward.of_each.max() / forward.of_each.sum())


def _is_constant(forward: Forward) -> bool:
    return int(np.count_nonzero(forward.of_each)) == 1


def listed(items: Iterable[str]) -> str:
    """Return a Markdown list."""
    return "".join(f"- {item}\n" for item in items)


def accuracy_table(by_rate: dict[float, list[Row]]) -> str:
    """Describe the distribution of the final accuracy at each learning rate."""
    lines = []
    for rate, rows in by_rate.items():
        final = sorted(row.validation_score[-1] for row in rows)
        low, median, high = np.percentile(final, (25, 50, 75))
        mean = statistics.fmean(final)
        cells = (mean, statistics.stdev(final), final[0], low, median, high, final[-1], final[-1] - final[0])
        sampling = (mean * (1 - mean) / N_VALIDATION) ** 0.5
        lines.append((f"{rate:g}", len(rows), *map(percent, cells), percent(sampling)))
    headings = ("learning rate", "seeds", "mean", "std", "lowest", "25 %", "median", "75 %", "highest",
                "highest - lowest", "standard error of one network's accuracy")  # fmt: skip
    return table(headings, lines)


def spread_table(by_rate: dict[float, list[Row]]) -> str:
    """Show the mean and standard deviation over the seeds after some of the epochs."""
    n_epochs = network_options(next(iter(by_rate.values()))[0]).epochs
    chosen = sorted({1, 2, 3, (n_epochs + 1) // 2, n_epochs} & set(range(1, n_epochs + 1)))
    lines = []
    for epoch in chosen:
        cells = []
        for rows in by_rate.values():
            accuracies = [over_epochs(row, row.validation_score)[epoch - 1] for row in rows]
            cells.append(f"{percent(statistics.fmean(accuracies))} ± {percent(statistics.stdev(accuracies))}")
        lines.append((epoch, *cells))
    return table(("epoch", *(f"{rate:g}" for rate in by_rate)), lines)


def seeds_list(by_rate: dict[float, list[Row]]) -> str:
    """Say how accuracies of one seed correlate across learning rates and epochs, as a list."""
    final = np.array([[row.validation_score[-1] for row in rows] for rows in by_rate.values()])
    first = np.array([[row.validation_score[0] for row in rows] for rows in by_rate.values()])
    deviations = final - final.mean()
    of_rate = final.shape[1] * np.sum((final.mean(axis=1) - final.mean()) ** 2) / np.sum(deviations**2)
    of_seed = final.shape[0] * np.sum((final.mean(axis=0) - final.mean()) ** 2) / np.sum(deviations**2)
    pairs = np.corrcoef(final)[np.triu_indices(len(final), 1)]
    later = [np.corrcoef(before, after)[0, 1] for before, after in zip(first, final, strict=True)]
    best = max(
        (row for rows in by_rate.values() for row in rows), key=lambda row: (row.validation_score[-1], -row.seed)
    )
    rates = ", ".join(f"{rate:g}" for rate in by_rate)
    items = (
        f"Of the variance of all {final.size} final accuracies, the learning rate explains {percent(of_rate, 1)} %, "
        f"the seed {percent(of_seed, 1)} %; the rest, {percent(1 - of_rate - of_seed, 1)} %, belongs to neither alone.",
        f"The correlation over the seeds between the final accuracies at two learning rates is {np.mean(pairs):+.2f} "
        f"on average ({np.min(pairs):+.2f} to {np.max(pairs):+.2f}).",
        "The correlation over the seeds between the accuracy after the first epoch and after the last, by learning "
        f"rate ({rates}): {', '.join(f'{value:+.2f}' for value in later)}.",
        f"The best network of all: learning rate {network_options(best).learning_rate:g}, seed {best.seed}, "
        f"job `{best.job[:12]}`, {percent(best.validation_score[-1])} %. "
        f"The worst: {percent(float(final.min()))} %.",
    )
    return listed(items)
