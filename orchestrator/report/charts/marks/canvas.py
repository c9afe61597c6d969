"""The specification of a chart, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.report.charts import style
from orchestrator.report.charts.marks.scales import Scale


class Canvas:
    """Makes a specification by Altair, with the data beside the layers.

    Altair checks and copies data that stands in a layer, value by value: for 2,000 jobs, that takes ten seconds.

    Raises:
        MissingPackageError: the packages that charts need are not installed.

    Attributes:
        alt: Altair.
    """

    def __init__(self) -> None:
        self.alt: Any = style.altair()
        self._datasets: dict[str, Sequence[Mapping[str, Any]]] = {}

    def chart(self, values: Sequence[Mapping[str, Any]]) -> Any:
        """Return a chart of Altair's with these values, for a mark and its encodings."""
        name = f"data-{len(self._datasets) + 1}"
        self._datasets[name] = values
        return self.alt.Chart(self.alt.NamedData(name=name))

    def channel(self, name: str, title: str, scale: Scale, **axis: Any) -> Any:
        """Return the encoding of a position by the field of the same name, in lower case.

        Args:
            name: `X` or `Y`.
            title: Of the axis.
            scale: Of the axis.
            axis: What else is said of the axis.
        """
        kind = "log" if scale.is_log else "linear"
        ends = self.alt.Scale(domain=[scale.low, scale.high], type=kind, nice=False, zero=False, clamp=True)
        if scale.format is not None:
            axis.setdefault("format", scale.format)
        return getattr(self.alt, name)(f"{name.lower()}:Q", title=title, scale=ends, axis=self.alt.Axis(**axis))

    def layered(self, layers: Sequence[Any], *, width: Any, height: Any) -> dict[str, Any]:
        """Return the specification of the layers, the first one at the bottom.

        Args:
            layers: What `chart` returned, encoded.
            width: In pixels, or Altair's `Step`.
            height: Likewise.
        """
        # Not validated here, which takes a second for each chart; the tests validate each kind.
        found: dict[str, Any] = self.alt.layer(*layers).properties(width=width, height=height).to_dict(validate=False)
        return {**found, "datasets": self._datasets}
