"""The parts of a specification that all charts share: data, numeric axes, layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.report import packages
from orchestrator.report.charts.marks.scales import Scale


class Canvas:
    """Makes a specification with Altair, with the data outside the layers.

    Altair checks and copies data inside a layer value by value: for 2,000 jobs, that takes ten seconds.

    Raises:
        MissingPackageError: the packages that charts need are not installed.

    Attributes:
        alt: Altair.
        own_colour: The encoding of a mark's colour by the field `colour`.
    """

    def __init__(self) -> None:
        packages.require("A chart")
        import altair

        self.alt: Any = altair
        self.own_colour: Any = self.alt.Color("colour:N", scale=None)
        self._datasets: dict[str, Sequence[Mapping[str, Any]]] = {}

    def chart(self, values: Sequence[Mapping[str, Any]]) -> Any:
        """Return an Altair chart of these values, still without mark and encodings."""
        name = f"data-{len(self._datasets) + 1}"
        self._datasets[name] = values
        return self.alt.Chart(self.alt.NamedData(name=name))

    def channel(self, name: str, field: str, title: str, scale: Scale, *, clamp: bool = False, **axis: Any) -> Any:
        """Return the encoding of numbers as positions.

        Args:
            name: `X` or `Y`.
            field: The field with the numbers.
            title: Of the axis.
            scale: Of the axis.
            clamp: Whether numbers beyond the scale have their place at its end.
            axis: Further options of the axis.
        """
        kind = "log" if scale.is_log else "linear"
        ends = self.alt.Scale(domain=[scale.low, scale.high], type=kind, nice=False, zero=False, clamp=clamp)
        if scale.format is not None:
            axis.setdefault("format", scale.format)
        return getattr(self.alt, name)(f"{field}:Q", title=title, scale=ends, axis=self.alt.Axis(**axis))

    def step(self, field: str, colours: Sequence[str], highest: float = 1.0) -> Any:
        """Return the encoding of a number as a colour: the colours divide 0 to the highest into equal parts."""
        steps = self.alt.Scale(type="quantize", domain=[0, highest], range=list(colours))
        return self.alt.Color(f"{field}:Q", scale=steps, legend=None)

    def layered(self, layers: Sequence[Any], *, width: Any, height: Any) -> dict[str, Any]:
        """Return the specification of the layers, the first one at the bottom.

        Args:
            layers: What `chart` returned, encoded.
            width: In pixels, or Altair's `Step`.
            height: Likewise.
        """
        chart = self.alt.layer(*layers).resolve_scale(color="independent").properties(width=width, height=height)
        # Not validated here, which takes a second for each chart; the tests validate each kind.
        found: dict[str, Any] = chart.to_dict(validate=False)
        return {**found, "datasets": self._datasets}
