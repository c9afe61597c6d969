"""A timeline of workers: when each of their processes trained, and which attempts did not finish their job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.report import attempts
from orchestrator.report.attempts import Attempts, Clock, Span
from orchestrator.report.charts import labels, style
from orchestrator.report.charts.chart import Chart, Table
from orchestrator.report.charts.configurations import MOST_JOBS
from orchestrator.report.charts.marks.canvas import Canvas
from orchestrator.report.contents import accounting
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted

#: Of more workers' processes, or of workers where attempts are drawn together, the first ones to begin are drawn.
MOST_LANES = 60
#: Rows of the table.
MOST_ROWS = 500
#: So many attempts that did not finish are drawn, and so many have a label, the first ones each.
MOST_FAULTS, MOST_LABELLED = 300, 12
#: Where attempts are drawn together, the time is divided into so many parts.
BINS = 60
WIDTH, STEP = 380, 18

#: The mark of each end that is a fault: its shape, and the words for it.
_FAULTS: Mapping[str, tuple[str, str]] = {
    "worker lost": ("M-1,-1L1,1M-1,1L1,-1", "worker lost"),
    "child lost": ("M-1,0L1,0M0,-1L0,1", "process lost"),
    "hung": ("square", "hung"),
    "given back": ("triangle-left", "given back, because its worker was shut down"),
    "failed": ("diamond", "failed"),
    "cancelled": ("circle", "cancelled"),
}
_SIGNS = {
    "worker lost": "×", "child lost": "+", "hung": "square", "given back": "triangle", "failed": "diamond",
    "cancelled": "circle",
}  # fmt: skip


@dataclass(frozen=True)
class Lane:
    """A row of the chart.

    Attributes:
        label: Its name beside the axis, unlike every other one.
        spans: The attempts in it, by their begin.
        processes: How many processes it stands for.
    """

    label: str
    spans: Sequence[Span]
    processes: int = 1


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    made = attempts.of(sweep)
    return None if made.spans and made.seconds > 0 else "no attempt at one of its jobs has times"


def chart(sweep: Sweep) -> Chart | None:
    """Return the timeline; None if no attempt has times.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    if absent(sweep) is not None:
        return None
    made = attempts.of(sweep)
    names = JobNames(sweep.jobs.values(), sweep.manifest.axes)
    together = len(made.spans) > MOST_JOBS
    every = _workers(made) if together else _processes(made)
    shown = every[:MOST_LANES]
    clock = Clock.of(made.spans)
    return Chart(
        name="timeline",
        title="When each worker trained",
        caption=_caption(made, shown, len(every), clock, together=together),
        specification=_specification(shown, clock, made, names, together=together),
        table=_table(made, names),
    )


def _processes(made: Attempts) -> list[Lane]:
    """Return a lane for each process of each worker."""
    names, lanes = [], []
    for worker, spans in made.by_worker().items():
        places = attempts.lanes(spans)
        count = max(places) + 1
        for lane in range(count):
            names.append(worker if count == 1 else f"{worker}, {lane + 1}")
            lanes.append([span for span, place in zip(spans, places, strict=True) if place == lane])
    return [Lane(label, spans) for label, spans in zip(labels.distinct(names), lanes, strict=True)]


def _workers(made: Attempts) -> list[Lane]:
    """Return a lane for each worker."""
    found = made.by_worker()
    return [
        Lane(label, spans, max(attempts.lanes(spans)) + 1)
        for label, spans in zip(labels.distinct(found), found.values(), strict=True)
    ]


def _caption(made: Attempts, shown: Sequence[Lane], known: int, clock: Clock, *, together: bool) -> str:
    if together:
        said = ["The stronger the colour, the larger the share of its processes' time that a worker trained"]
    else:
        said = ["Bar: an attempt at a job, in a row for each process of a worker"]
    ends = dict.fromkeys(span.end for lane in shown for span in lane.spans if span.is_fault)
    said += [f"{_SIGNS[end]}: {_FAULTS[end][1]}" for end in _FAULTS if end in ends]
    if "worker lost" in ends:
        said.append("a lost worker's bar ends when the loss was noticed")
    if clock.pauses:
        said.append(f"dashed line: a pause that is left out ({accounting.duration(clock.paused)} in all)")
    if known > len(shown):
        said.append(f"the first {len(shown)} of {known} rows")
    if made.untimed:
        said.append(f"{counted(made.untimed, 'attempt')} without times are not drawn")
    return "; ".join(said)


def _table(made: Attempts, names: JobNames) -> Table:
    rows = [
        (
            names.job(span.job.seed, span.job.options),
            str(span.number),
            span.worker,
            span.cause,
            f"{span.start:.2f}",
            f"{span.stop:.2f}",
            span.end or "unknown",
        )
        for span in made.spans[:MOST_ROWS]
    ]
    headings = ("job", "attempt", "worker", "cause", "began, s", "ended, s", "end")
    return Table(headings, rows, len(made.spans))


# How it is drawn


def _specification(
    shown: Sequence[Lane], clock: Clock, made: Attempts, names: JobNames, *, together: bool
) -> dict[str, Any]:
    canvas = Canvas()
    last = clock.at(made.seconds)
    unit, length = next(
        ((name, size) for name, size in (("h", 3600.0), ("min", 60.0)) if last > 1.5 * size), ("s", 1.0)
    )
    left_out = ", pauses left out" if clock.pauses else ""
    x = canvas.alt.X(
        "x:Q",
        title=f"time since the first attempt began, {unit}{left_out}",
        scale=canvas.alt.Scale(domain=[0, last / length], nice=False, zero=True),
        axis=canvas.alt.Axis(grid=True),
    )
    y = canvas.alt.Y(
        "row:N",
        title=None,
        scale=canvas.alt.Scale(domain=[lane.label for lane in shown]),
        axis=canvas.alt.Axis(ticks=False, domain=False, labelColor=style.LIGHT["ink"]),
    )

    def at(seconds: float) -> float:
        return clock.at(seconds) / length

    bars = _shares(canvas, shown, clock, last, length, x, y) if together else _bars(canvas, shown, at, names, x, y)
    layers = [*_pauses(canvas, clock, at, x), *bars, *_marks(canvas, shown, at, names, x, y)]
    return canvas.layered(layers, width=WIDTH, height=canvas.alt.Step(STEP))


def _pauses(canvas: Canvas, clock: Clock, at: Any, x: Any) -> list[Any]:
    values = [{"x": at(begin)} for begin, _ in clock.pauses]
    mark = canvas.chart(values).mark_rule(color=style.LIGHT["axis"], strokeDash=[4, 3], aria=False)
    return [mark.encode(x=x)] if values else []


def _bars(canvas: Canvas, shown: Sequence[Lane], at: Any, names: JobNames, x: Any, y: Any) -> list[Any]:
    """Return a layer of attempts that finished their job, and one of others."""
    layers = []
    for is_fault, colour in ((False, "1"), (True, "other")):
        values = [
            {
                "row": lane.label,
                "x": at(span.start),
                "x2": at(span.stop),
                "said": labels.description(_said(span, names), span.job.seed),
            }
            for lane in shown
            for span in lane.spans
            if span.is_fault is is_fault
        ]
        if values:
            mark = canvas.chart(values).mark_bar(
                color=style.LIGHT[colour], height=STEP - 6, stroke=style.LIGHT["ground"], strokeWidth=0.5, opacity=0.85
            )
            layers.append(mark.encode(x=x, x2="x2:Q", y=y, description="said:N"))
    return layers


def _said(span: Span, names: JobNames) -> str:
    attempt = "" if span.number == 1 else f", attempt {span.number} ({span.cause})"
    job = names.job(span.job.seed, span.job.options)
    lasted = accounting.duration(span.stop - span.start)
    return f"{job}{attempt}: {span.end or 'end unknown'} after {lasted} on {span.worker}"


def _shares(
    canvas: Canvas, shown: Sequence[Lane], clock: Clock, last: float, length: float, x: Any, y: Any
) -> list[Any]:
    """Return a layer for each share of time that is told apart, a mark for each part of each worker's time."""
    width = last / BINS
    values: dict[str, list[dict[str, Any]]] = {}
    for lane in shown:
        for place, share in enumerate(_busy(lane, clock, width)):
            if share > 0:
                colour = style.HEAT[min(int(share * len(style.HEAT)), len(style.HEAT) - 1)][0]
                begin, end = place * width / length, (place + 1) * width / length
                said = f"{lane.label}: {100 * share:.0f} % busy from {begin:.3g} to {end:.3g}"
                value = {"row": lane.label, "x": begin, "x2": end, "said": labels.description(said)}
                values.setdefault(colour, []).append(value)
    return [
        canvas.chart(found).mark_bar(color=colour, height=STEP - 4).encode(x=x, x2="x2:Q", y=y, description="said:N")
        for colour, found in sorted(values.items())
    ]


def _busy(lane: Lane, clock: Clock, width: float) -> list[float]:
    """Return which share of the time of a lane's processes was spent in attempts, for each part of the time."""
    seconds = [0.0] * BINS
    for span in lane.spans:
        start, stop = clock.at(span.start), clock.at(span.stop)
        for place in range(int(start / width), min(int(stop / width) + 1, BINS)):
            seconds[place] += max(min(stop, (place + 1) * width) - max(start, place * width), 0.0)
    return [min(each / (width * lane.processes), 1.0) for each in seconds]


def _marks(canvas: Canvas, shown: Sequence[Lane], at: Any, names: JobNames, x: Any, y: Any) -> list[Any]:
    """Return the marks of attempts that did not finish: a layer for each end, and labels."""
    faults = [(lane, span) for lane in shown for span in lane.spans if span.is_fault]
    faults = sorted(faults, key=lambda found: found[1].stop)[:MOST_FAULTS]
    layers = []
    for end, (shape, _) in _FAULTS.items():
        values = [
            {
                "row": lane.label,
                "x": at(span.stop),
                "said": labels.description(_said(span, names), span.job.seed),
            }
            for lane, span in faults
            if span.end == end
        ]
        if values:
            common = {"shape": shape, "filled": False, "size": 60, "opacity": 1}
            halo = canvas.chart(values).mark_point(**common, color=style.LIGHT["ground"], strokeWidth=5, aria=False)
            mark = canvas.chart(values).mark_point(**common, color=style.LIGHT["lost"], strokeWidth=2)
            layers += [halo.encode(x=x, y=y), mark.encode(x=x, y=y, description="said:N")]
    return [*layers, *_names(canvas, faults, at, x, y)]


def _names(canvas: Canvas, faults: Sequence[tuple[Lane, Span]], at: Any, x: Any, y: Any) -> list[Any]:
    """Return the words beside the marks, on a ground of their own, if they are few."""
    if not faults or len(faults) > MOST_LABELLED:
        return []
    values = [
        {"row": lane.label, "x": at(span.stop), "text": _FAULTS[str(span.end)][1].partition(",")[0]}
        for lane, span in faults
    ]
    place = {"align": "left", "dx": 8, "aria": False}
    ground = style.LIGHT["ground"]
    return [
        canvas.chart(values).mark_text(**place, **colours).encode(x=x, y=y, text="text:N")
        for colours in ({"color": ground, "stroke": ground, "strokeWidth": 4}, {"color": style.LIGHT["lost"]})
    ]
