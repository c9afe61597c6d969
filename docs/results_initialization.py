"""Make the tables, lists and the picture of the study of initialization in docs/results/index.md.

The study varies the learning rate and anything else: the other options that vary are its variants.
"""

import itertools
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from results_tables import listed, network_options, percent, table
from scipy.stats import t

from nn.options.describe import heading
from nn.options.network import NetworkOptions
from orchestrator.folder.rows import Row
from orchestrator.sweeps.names import JobNames

#: The text of the section, which is appended to a page that has none yet.
SECTION = """
## How weights start

Do the distribution of the initial weights and the use of biases matter? One sweep answers this for correct gradients,
at several learning rates and under the same seeds:

```sh
orchestrator sweep --name initialization --initialization notebook,lecun,glorot,he,lecun_uniform,glorot_uniform \\
  --biases --no-biases --learning-rates 0.003,0.01,0.03,0.1 --seeds 0-19 --epochs 10
python docs/make_results.py --initialization runs/initialization
```

Mean and standard deviation of the validation accuracy over the seeds, in percent, after the last epoch. The best
learning rate of each variant is bold:

<!-- begin initialization-accuracy -->
<!-- end initialization-accuracy -->

The same after the first epoch, which shows how fast each variant learns:

<!-- begin initialization-first -->
<!-- end initialization-first -->

![The final accuracy of each variant at each learning rate](figures/initialization.svg)

<!-- begin initialization-answer -->
<!-- end initialization-answer -->
"""

RATE = "learning_rate"


@dataclass(frozen=True)
class Study:
    """The final and the first accuracies of a sweep that varies the learning rate and other options.

    Attributes:
        variants: The values of the other options that vary, as shown in tables.
        options: The headings of those options.
        rates: The learning rates.
        seeds: The seeds.
        final: shape (n_variants, n_rates, n_seeds): the accuracy after the last epoch.
        first: The same after the first epoch.
        diverged: shape (n_variants, n_rates): the number of diverged jobs.
    """

    variants: list[tuple[str, ...]]
    options: tuple[str, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    final: NDArray[np.float64]
    first: NDArray[np.float64]
    diverged: NDArray[np.int64]


def study(rows: list[Row], names: JobNames) -> Study:
    """Arrange the rows of a sweep; exit unless every variant has every rate and seed."""
    others = [name for name in names.varying if name != RATE]
    if RATE not in names.varying or not others:
        raise SystemExit("the study needs a sweep that varies the learning rate and at least one other option")
    rates, seeds = names.varying[RATE], tuple(dict.fromkeys(row.seed for row in rows))
    points = list(itertools.product(*(names.varying[name] for name in others)))
    cells = {(_point(row, others), network_options(row).learning_rate, row.seed): row for row in rows}
    if len(seeds) < 2 or len(cells) != len(points) * len(rates) * len(seeds):
        raise SystemExit("the study needs a grid with at least two seeds")
    shape = (len(points), len(rates), len(seeds))
    ordered = [cells[key] for key in itertools.product(points, rates, seeds)]
    diverged = np.array([row.status == "diverged" for row in ordered]).reshape(shape)
    return Study(
        variants=[
            tuple(names.shown(name, value) for name, value in zip(others, point, strict=True)) for point in points
        ],
        options=tuple(heading(NetworkOptions, name) for name in others),
        rates=rates,
        seeds=seeds,
        final=np.array([row.validation_score[-1] for row in ordered]).reshape(shape),
        first=np.array([row.validation_score[0] for row in ordered]).reshape(shape),
        diverged=diverged.sum(axis=2),
    )


def _point(row: Row, others: Iterable[str]) -> tuple[Any, ...]:
    return tuple(getattr(row.options, name) for name in others)


def blocks(found: Study) -> Mapping[str, str]:
    """Return the blocks of the page by their names."""
    return {
        "initialization-accuracy": _accuracy_table(found, found.final),
        "initialization-first": _accuracy_table(found, found.first),
        "initialization-answer": _answer(found),
    }


def _accuracy_table(found: Study, accuracies: NDArray[np.float64]) -> str:
    means = accuracies.mean(axis=2)
    lines = []
    for variant, values, best in zip(found.variants, accuracies, means.argmax(axis=1), strict=True):
        cells = [f"{percent(statistics.fmean(each))} ± {percent(statistics.stdev(each))}" for each in values.tolist()]
        cells[best] = f"**{cells[best]}**"
        lines.append((*variant, *cells))
    return table((*found.options, *(f"{rate:g}" for rate in found.rates)), lines)


def _answer(found: Study) -> str:
    means = found.final.mean(axis=2)
    rates = means.argmax(axis=1)
    ranking = np.argsort(-means.max(axis=1), kind="stable")
    best, second, worst = ranking[0], ranking[1], ranking[-1]
    shares = _shares(found.final)
    diverged = int(found.diverged.sum())
    items = [
        f"Of the variance of all {found.final.size} final accuracies, the learning rate explains "
        f"{percent(shares['rate'], 1)} %, the variant {percent(shares['variant'], 1)} %, the two together "
        f"{percent(shares['both'], 1)} %; the seed explains {percent(shares['seed'], 1)} %, and "
        f"{percent(shares['rest'], 1)} % is left.",
        f"The best configuration: {_name(found, best)} at {found.rates[rates[best]]:g}, "
        f"{_spread(found.final[best, rates[best]])} %.",
        f"Each at its best learning rate, it is {_difference(found, best, second)} better than the next, "
        f"{_name(found, second)}, and {_difference(found, best, worst)} better than the last, {_name(found, worst)} "
        "(means over the seeds with 95 % intervals of the paired differences, in percentage points). The same "
        "accuracies chose the variants and rates that are compared, so these differences flatter the best.",
        f"Jobs that diverged or stayed at chance: {diverged} of {found.final.size}.",
    ]
    return listed(items)


def _shares(final: NDArray[np.float64]) -> dict[str, float]:
    """Return the shares of the sum of squares of a balanced design: main effects, one interaction, the rest."""
    mean = final.mean()
    total = float(np.sum((final - mean) ** 2)) or 1.0
    variant = final.mean(axis=(1, 2), keepdims=True) - mean
    rate = final.mean(axis=(0, 2), keepdims=True) - mean
    seed = final.mean(axis=(0, 1), keepdims=True) - mean
    both = final.mean(axis=2, keepdims=True) - mean - variant - rate
    effects = {"variant": variant, "rate": rate, "seed": seed, "both": both}
    shares = {
        name: float(np.sum(np.broadcast_to(effect, final.shape) ** 2)) / total for name, effect in effects.items()
    }
    return {**shares, "rest": 1 - sum(shares.values())}


def _difference(found: Study, one: int, other: int) -> str:
    """Return the mean difference of two variants, each at its best rate, with the interval of Student's t."""
    best = found.final.mean(axis=2).argmax(axis=1)
    differences = found.final[one, best[one]] - found.final[other, best[other]]
    count = len(differences)
    half = t.ppf(0.975, count - 1) * differences.std(ddof=1) / count**0.5
    return f"{100 * differences.mean():.2f} ± {100 * half:.2f}"


def _spread(values: NDArray[np.float64]) -> str:
    return f"{percent(float(values.mean()))} ± {percent(float(values.std(ddof=1)))}"


def _name(found: Study, variant: int) -> str:
    pairs = zip(found.options, found.variants[variant], strict=True)
    return ", ".join(f"{option} {value}" for option, value in pairs)


def draw(found: Study) -> Figure:
    """Plot the mean of each variant with the range over the seeds, a panel for each learning rate."""
    figure = Figure(figsize=(9, 1.2 + 0.25 * len(found.variants)), layout="constrained")
    panels = figure.subplots(1, len(found.rates), sharey=True, squeeze=False)[0]
    places = np.arange(len(found.variants))
    for place, (rate, axes) in enumerate(zip(found.rates, panels, strict=True)):
        accuracies = 100 * found.final[:, place]
        means = accuracies.mean(axis=1)
        reach = np.stack([means - accuracies.min(axis=1), accuracies.max(axis=1) - means])
        axes.errorbar(means, places, xerr=reach, fmt="o", ms=4, color="#0072b2", ecolor="#56b4e9", capsize=2)
        axes.set(title=f"learning rate {rate:g}", xlabel="validation accuracy in %")
    panels[0].set_yticks(places, [", ".join(variant) for variant in found.variants])
    panels[0].invert_yaxis()
    return figure
