"""Draw the pictures of docs/results/index.md as SVG files. The same sweeps give the same bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType
from numpy.typing import NDArray
from results_networks import Network
from results_tables import over_epochs, printed_by_epoch

from orchestrator.folder.rows import Row

#: Fixes whatever would otherwise change from one call, or one user's settings, to the next.
STYLE: dict[RcKeyType, Any] = {
    "svg.hashsalt": "seedsweep",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "path.simplify": False,
}
PRINTED, TRUE = "#c0392b", "#2471a3"
#: A palette that people with red-green colour blindness can distinguish (Okabe and Ito).
RATES = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a picture in the page's style, and write it as an SVG file."""
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        draw().savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _figure(columns: int, width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns)


def printed(rows: list[Row], networks: list[Network]) -> Figure:
    """Plot printed and true accuracy of every network, and the printed one over the epochs."""
    figure, (left, right) = _figure(2, 9, 3.6)
    printed = np.array([printed_by_epoch(row, network) for row, network in zip(rows, networks, strict=True)])
    true = 100 * np.array([row.validation_score[-1] for row in rows])
    order = np.lexsort((true, printed[:, -1]))
    left.plot(printed[order, -1], ".", color=PRINTED, ms=4, label="printed by the notebook")
    left.plot(true[order], ".", color=TRUE, ms=4, label="true")
    left.set(xlabel="networks, by what is printed", ylabel="accuracy after the last epoch", ylim=(-3, 100))
    left.set_title("One network a dot")
    left.legend(loc="upper left", frameon=False)
    right.plot(printed.T, color=PRINTED, lw=0.7, alpha=0.45)
    right.set(xlabel="epoch (0: before training)", ylabel="accuracy printed", ylim=(-3, 100))
    right.set_xticks(range(printed.shape[1]))
    right.set_title("One network a line")
    for axes in (left, right):
        axes.set_yticks([0, 10.5, 25, 50, 75, 94.5])
    return figure


def distribution(by_rate: dict[float, list[Row]]) -> Figure:
    """Plot the final accuracy of every seed: as it is, and relative to the mean of its learning rate."""
    figure, (left, right) = _figure(2, 9, 3.6)
    finals = {rate: 100 * np.array([row.validation_score[-1] for row in rows]) for rate, rows in by_rate.items()}
    for place, (final, color) in enumerate(zip(finals.values(), RATES, strict=False)):
        across = place + _sideways(len(final))
        left.plot(across, final, ".", color=color, ms=4)
        right.plot(across, final - final.mean(), ".", color=color, ms=4)
        deviation = final.std(ddof=1)
        right.errorbar(place + 0.36, 0, deviation, color="black", capsize=3, lw=1)
    left.set(ylabel="validation accuracy in % after the last epoch", title="One seed a dot")
    right.set(
        ylabel="difference to the mean of the rate, in points", title="The spread alone, with one standard deviation"
    )
    for axes in (left, right):
        axes.set_xticks(range(len(finals)), [f"{rate:g}" for rate in finals])
        axes.set_xlabel("learning rate")
    return figure


def _sideways(count: int) -> NDArray[np.floating]:
    """Return horizontal offsets that spread dots evenly over a column, the same for each call."""
    golden = 0.6180339887498949
    return ((np.arange(count) * golden) % 1 - 0.5) * 0.5


def curves(by_rate: dict[float, list[Row]]) -> Figure:
    """Plot the mean and range of the accuracy over the epochs at each learning rate."""
    figure, axes = _figure(1, 6, 3.8)
    for (rate, rows), color in zip(by_rate.items(), RATES, strict=False):
        accuracies = 100 * np.array([over_epochs(row, row.validation_score) for row in rows])
        epochs = np.arange(1, accuracies.shape[1] + 1)
        axes.fill_between(epochs, accuracies.min(axis=0), accuracies.max(axis=0), color=color, alpha=0.2, lw=0)
        axes.plot(epochs, accuracies.mean(axis=0), color=color, label=f"{rate:g}")
        axes.set_xticks(epochs)
    axes.set(xlabel="epoch", ylabel="validation accuracy in %", title="Mean and range over the seeds")
    axes.legend(title="learning rate", frameon=False, loc="lower right")
    return figure
