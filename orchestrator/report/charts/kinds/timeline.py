"""A timeline of workers: when each of their processes trained, and which attempts did not finish their job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from orchestrator.analysis.sweep import Sweep
from orchestrator.report import attempts
from orchestrator.report.attempts import Attempts, Span
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.marks.canvas import Canvas, Scale
from orchestrator.report.contents.parts import Chart
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted, duration

#: Most rows, of processes, or of workers if attempts are drawn together: the first to begin.
MOST_LANES = 60
#: Most unfinished attempts that are drawn, and most that have labels.
MOST_FAULTS, MOST_LABELLED = 300, 12
#: Parts of the time if attempts are drawn together.
BINS = 60
WIDTH, STEP = 380, 18


class Fault(NamedTuple):
    """How a fault is drawn: the shape of its mark, the shape's name, and the words for the fault."""

    shape: str
    sign: str
    words: str


FAULTS: Mapping[str, Fault] = {
    "worker lost": Fault("M-1,-1L1,1M-1,1L1,-1", "×", "worker lost"),
    "child lost": Fault("M-1,0L1,0M0,-1L0,1", "+", "process lost"),
    "hung": Fault("square", "square", "hung"),
    "given back": Fault("triangle-left", "triangle", "given back, because its worker was shut down"),
    "failed": Fault("diamond", "diamond", "failed"),
    "cancelled": Fault("circle", "circle", "cancelled"),
}


@dataclass(frozen=True)
class Lane:
    """A row of the chart.

    Attributes:
        label: Its unique name beside the axis.
        spans: The attempts in it, by start time.
        processes: How many processes it stands for.
    """

    label: str
    spans: Sequence[Span]
    processes: int = 1


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    made = attempts.of(sweep)
    return None if made.spans and made.seconds > 0 else "no attempt at one of its jobs has times"


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the timeline of a sweep whose attempts have times.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    made = attempts.of(sweep)
    names = sweep.names
    together = len(made.spans) > configurations.MOST_JOBS
    every = _lanes(made, together=together)
    shown = every[:MOST_LANES]
    return Chart(
        name=name,
        title="When each worker trained",
        caption=_caption(made, shown, len(every), together=together),
        specification=_specification(shown, made, names, together=together),
        headings=("job", "attempt", "worker", "cause", "began, s", "ended, s", "end"),
        rows=[_cells(span, names) for span in made.spans],
    )


def _lanes(made: Attempts, *, together: bool) -> list[Lane]:
    """Return a lane for each process of each worker, or for each worker."""
    found: list[tuple[str, Sequence[Span], int]] = []
    for worker, spans in made.by_worker().items():
        places = attempts.lanes(spans)
        count = max(places) + 1
        if together:
            found.append((worker, spans, count))
            continue
        for lane in range(count):
            own = [span for span, place in zip(spans, places, strict=True) if place == lane]
            found.append((worker if count == 1 else f"{worker}, {lane + 1}", own, 1))
    names = labels.distinct(name for name, *_ in found)
    return [Lane(label, spans, count) for label, (_, spans, count) in zip(names, found, strict=True)]


def _caption(made: Attempts, shown: Sequence[Lane], known: int, *, together: bool) -> str:
    ends = {span.end for lane in shown for span in lane.spans if span.is_fault}
    return labels.joined(
        "The stronger the colour, the larger the share of its processes' time that a worker trained"
        if together
        else "Bar: an attempt at a job, in a row for each process of a worker",
        *(f"{fault.sign}: {fault.words}" for end, fault in FAULTS.items() if end in ends),
        "worker lost" in ends and "a lost worker's bar ends when the loss was noticed",
        bool(made.pauses) and f"dashed line: a pause that is left out ({duration(made.paused)} in all)",
        known > len(shown) and f"the first {len(shown)} of {known} rows",
        made.untimed > 0 and f"{counted(made.untimed, 'attempt')} without times are not drawn",
    )


def _cells(span: Span, names: JobNames) -> tuple[str, ...]:
    job, times = names.job(span.job.seed, span.job.options), (f"{span.start:.2f}", f"{span.stop:.2f}")
    return job, str(span.number), span.worker, span.cause, *times, span.end or "unknown"


# How it is drawn


def _specification(shown: Sequence[Lane], made: Attempts, names: JobNames, *, together: bool) -> dict[str, Any]:
    canvas = Canvas()
    alt = canvas.alt
    seconds = made.active(made.seconds)
    unit, length = next((each for each in (("h", 3600.0), ("min", 60.0)) if seconds > 1.5 * each[1]), ("s", 1.0))
    title = f"time since the first attempt began, {unit}{', pauses left out' if made.pauses else ''}"
    x = canvas.channel("X", "x", title, Scale(0.0, seconds / length))
    y = alt.Y(
        "row:N",
        title=None,
        scale=alt.Scale(domain=[lane.label for lane in shown]),
        axis=alt.Axis(ticks=False, domain=False, labelColor=style.LIGHT["ink"]),
    )

    def at(seconds: float) -> float:
        return made.active(seconds) / length

    pauses = canvas.chart([{"x": at(begin)} for begin, _ in made.pauses])
    if together:
        shares = canvas.chart(_shares(shown, made, seconds / BINS, length)).mark_bar(height=STEP - 4)
        bars = shares.encode(color=canvas.step("share", [colour for colour, _ in style.HEAT]))
    else:
        spans = [_span(lane, span, at, names) for lane in shown for span in lane.spans]
        outline = {"stroke": style.LIGHT["ground"], "strokeWidth": 0.5, "opacity": 0.85}
        bars = canvas.chart(spans).mark_bar(height=STEP - 6, **outline).encode(color=canvas.own_colour)
    layers = [
        pauses.mark_rule(color=style.LIGHT["axis"], strokeDash=[4, 3]).encode(x=x),
        bars.encode(x=x, x2="x2:Q", y=y, description="said:N"),
        *(layer.encode(x=x, y=y) for layer in _faults(canvas, shown, at, names)),
    ]
    return canvas.layered(layers, width=WIDTH, height=alt.Step(STEP))


def _span(lane: Lane, span: Span, at: Callable[[float], float], names: JobNames) -> dict[str, Any]:
    attempt = "" if span.number == 1 else f", attempt {span.number} ({span.cause})"
    job = names.job(span.job.seed, span.job.options)
    lasted = duration(span.stop - span.start)
    said = f"{job}{attempt}: {span.end or 'end unknown'} after {lasted} on {span.worker}"
    return {
        "row": lane.label,
        "x": at(span.start),
        "x2": at(span.stop),
        "colour": style.LIGHT["other" if span.is_fault else "1"],
        "end": span.end,
        "words": FAULTS[str(span.end)].words.partition(",")[0] if span.is_fault else "",
        "said": labels.description(said, span.job.seed),
    }


def _shares(shown: Sequence[Lane], made: Attempts, width: float, length: float) -> list[dict[str, Any]]:
    """Return a mark for each part of each worker's time.

    Args:
        shown: The workers.
        made: All attempts.
        width: Seconds of a part.
        length: Seconds of the unit of the axis.
    """
    values = []
    for lane in shown:
        starts, stops = np.array([(made.active(span.start), made.active(span.stop)) for span in lane.spans]).T
        until = np.clip(width * np.arange(BINS + 1)[:, None] - starts, 0, stops - starts).sum(axis=1)
        # Of the time of the worker's processes.
        shares: list[float] = (np.diff(until) / (width * lane.processes)).clip(max=1.0).tolist()
        for place, share in enumerate(shares):
            if share > 0:
                begin, end = place * width / length, (place + 1) * width / length
                said = labels.description(f"{lane.label}: {100 * share:.0f} % busy from {begin:.3g} to {end:.3g}")
                values.append({"row": lane.label, "x": begin, "x2": end, "share": share, "said": said})
    return values


def _faults(canvas: Canvas, shown: Sequence[Lane], at: Callable[[float], float], names: JobNames) -> list[Any]:
    """Return the layers of unfinished attempts: marks, and words if they are few, all with an outline."""
    alt = canvas.alt
    found = [_span(lane, span, at, names) for lane in shown for span in lane.spans if span.is_fault]
    found.sort(key=lambda each: float(each["x2"]))
    faults = canvas.chart([{**each, "x": each["x2"]} for each in found[:MOST_FAULTS]])
    shapes = alt.Scale(domain=list(FAULTS), range=[fault.shape for fault in FAULTS.values()])
    shape = alt.Shape("end:N", scale=shapes, legend=None)
    ground, lost = style.LIGHT["ground"], style.LIGHT["lost"]
    mark = {"filled": False, "size": 60, "opacity": 1}
    layers = [
        faults.mark_point(**mark, color=ground, strokeWidth=5).encode(shape=shape),
        faults.mark_point(**mark, color=lost, strokeWidth=2).encode(shape=shape, description="said:N"),
    ]
    if len(found) <= MOST_LABELLED:
        text = {"align": "left", "dx": 8}
        layers += [
            faults.mark_text(**text, color=ground, stroke=ground, strokeWidth=4).encode(text="words:N"),
            faults.mark_text(**text, color=lost).encode(text="words:N"),
        ]
    return layers
