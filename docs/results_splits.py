"""Make the table and the list of docs/results/index.md about a sweep with a fixed split and one with a split a seed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from results_tables import listed, percent, table

from orchestrator.analysis.leaderboard.scores import Scored
from orchestrator.analysis.statistics.images import new_images_interval
from orchestrator.analysis.statistics.intervals import Interval, t_interval, t_quantile
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder

HEADINGS = (
    "learning rate", "seeds", "std, fixed split", "std on new images, modelled", "std, split by seed",
    "mean, fixed split", "mean on new images, modelled", "mean, split by seed",
)  # fmt: skip
Scores = dict[float, NDArray[np.float64]]


def blocks(folders: Sequence[SweepFolder]) -> dict[str, str]:
    """Return the blocks for a sweep with the fixed split, and one with a split for each seed."""
    fixed, drawn = map(Sweep.read, folders)
    scores = [{rate: np.array(list(each.trained.values())) for rate, each in _by_rate(it)} for it in (fixed, drawn)]
    rows = []
    for rate, each in _by_rate(fixed):
        same, other = (of_sweep[rate] for of_sweep in scores)
        new = new_images_interval(np.array(list((each.answers(fixed.rows) or {}).values())))
        spreads = (same.std(ddof=1), _on_new_images(same, new), other.std(ddof=1))
        means = (_shown(t_interval(list(same))), _shown(new), _shown(t_interval(list(other))))
        rows.append((f"{rate:g}", len(same), *(percent(spread, 3) for spread in spreads), *means))
    pairs = zip(("the fixed split", "a split for each seed"), scores, strict=True)
    return {"splits-spread": table(HEADINGS, rows), "splits-pairs": listed(_paired(*pair) for pair in pairs)}


def _by_rate(sweep: Sweep) -> list[tuple[float, Scored]]:
    return sorted((float(each.options.model_dump()["learning_rate"]), each) for each in sweep.scored)


def _on_new_images(scores: NDArray[np.float64], interval: Interval | None) -> float:
    """Return the deviation of one job's accuracy over seeds and images: what the mean's interval is made of."""
    if interval is None:
        raise SystemExit("the interval on new images needs two seeds")
    n, variance = len(scores), scores.var(ddof=1)
    images = (interval.half_width**2 - t_quantile(0.975, n - 1) ** 2 * variance / n) / t_quantile(0.975, np.inf) ** 2
    return float((variance + images) ** 0.5)


def _shown(interval: Interval | None) -> str:
    return (
        "-" if interval is None else f"{percent((interval.low + interval.high) / 2)} ± {percent(interval.half_width)}"
    )


def _paired(split: str, scores: Scores) -> str:
    """Say what it helps to compare the first and the last learning rate seed by seed."""
    low, high = (scores[rate] for rate in (min(scores), max(scores)))
    gap, apart = (high - low).std(ddof=1), (high.var(ddof=1) + low.var(ddof=1)) ** 0.5
    correlation = np.corrcoef(low, high)[0, 1]
    return (
        f"With {split}, the correlation over the seeds is {correlation:+.2f}. The difference between the rates has a "
        f"standard deviation of {percent(gap, 3)} over pairs of one seed, and of {percent(apart, 3)} over other seeds."
    )
