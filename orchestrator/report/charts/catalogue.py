"""The charts of a sweep, in the order of the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nn.errors import InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations
from orchestrator.report.charts.kinds import by_axis, curves, differences, heatmap, intervals, timeline
from orchestrator.report.contents.parts import Chart


@dataclass(frozen=True)
class Kind:
    """A kind of chart.

    Attributes:
        name: The chart's name; if it ends in `-`, the name of an option that varies completes it.
        section: The section of the page for its charts (`orchestrator.report.page.render.SECTIONS`).
        draw: Returns a sweep's chart by its name, one of `names`. Raises `MissingPackageError` without Altair.
        absent: Returns why a sweep has none, as a phrase; None if it has one.
    """

    name: str
    section: str
    draw: Callable[[Sweep, str], Chart]
    absent: Callable[[Sweep], str | None]

    def names(self, sweep: Sweep) -> list[str]:
        """Return the names of a sweep's charts of this kind."""
        if self.absent(sweep) is not None:
            return []
        axes = sweep.leaderboard.names.varying if self.name.endswith("-") else [""]
        return [f"{self.name}{axis}" for axis in axes]


#: In the order of the page.
KINDS: Sequence[Kind] = (
    Kind("intervals", "table", intervals.chart, configurations.absent),
    Kind(by_axis.PREFIX, "metric", by_axis.chart, by_axis.absent),
    Kind("heatmap", "metric", heatmap.chart, heatmap.absent),
    Kind("curves", "curves", curves.chart, curves.absent),
    Kind("differences", "differences", differences.chart, differences.absent),
    Kind("timeline", "accounting", timeline.chart, timeline.absent),
)


def names(sweep: Sweep, kinds: Sequence[Kind] = KINDS) -> tuple[str, ...]:
    """Return the names of a sweep's charts of some kinds, without drawing them."""
    return tuple(name for kind in kinds for name in kind.names(sweep))


def check(sweep: Sweep, name: str, field: str, kinds: Sequence[Kind] = KINDS) -> Kind:
    """Return the kind of a chart by its name.

    Args:
        sweep: The sweep.
        name: The chart's name.
        field: What gives the name, for the message.
        kinds: Only charts of these kinds.

    Raises:
        InvalidInputError: the sweep has no such chart; says which ones it has, and why it lacks this one.
    """
    wanted = [kind for kind in KINDS if kind.name == name or (kind.name.endswith("-") and name.startswith(kind.name))]
    for kind in wanted:
        if kind in kinds and name in kind.names(sweep):
            return kind
    listed = ", ".join(names(sweep, kinds)) or "none yet"
    why = [f"the sweep has no such chart, because {said}" for kind in wanted if (said := kind.absent(sweep))]
    if name in names(sweep):
        why = [f"only the report has {name}: orchestrator report {sweep.name} --chart {name}"]
    raise InvalidInputError(field, name, "; ".join([listed, *why]))
