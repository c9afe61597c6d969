"""A timeline of workers: when each of their processes trained, and which attempts did not finish their job.

Of a large sweep, it has when each worker trained.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.analysis.sweep import Sweep
from orchestrator.report import attempts
from orchestrator.report.attempts import Attempts, Span
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.marks.canvas import Canvas, Scale
from orchestrator.report.contents.parts import Chart
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted, duration

#: Most rows, of processes or of workers: the first to begin.
MOST_LANES = 60
#: Most unfinished attempts that are drawn, and most that have labels.
MOST_FAULTS, MOST_LABELLED = 300, 12
#: Attempts of a worker that are drawn together may be this share of the whole time apart.
GAP = 1 / 60
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


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    made = attempts.of(sweep)
    return None if made.spans and made.seconds > 0 else "no attempt at one of its jobs has times"


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the timeline of a sweep whose attempts have times."""
    made = attempts.of(sweep)
    names = sweep.names
    together = len(made.spans) > configurations.MOST_JOBS
    every = _lanes(made, together=together)
    shown = dict(list(every.items())[:MOST_LANES])
    return Chart(
        name=name,
        title="When each worker trained",
        caption=_caption(made, shown, len(every), together=together),
        specification=_specification(shown, made, names, together=together),
        headings=("job", "attempt", "worker", "cause", "began, s", "ended, s", "end"),
        rows=[_cells(span, names) for span in made.spans],
    )


def _lanes(made: Attempts, *, together: bool) -> dict[str, Sequence[Span]]:
    """Return the attempts of each worker, or of each of its processes, by unique labels."""
    found: list[tuple[str, Sequence[Span]]] = []
    for worker, spans in made.by_worker().items():
        places = [0] * len(spans) if together else attempts.lanes(spans)
        count = max(places) + 1
        for lane in range(count):
            own = [span for span, place in zip(spans, places, strict=True) if place == lane]
            found.append((worker if count == 1 else f"{worker}, {lane + 1}", own))
    return dict(zip(labels.distinct(name for name, _ in found), (spans for _, spans in found), strict=True))


def _caption(made: Attempts, shown: Mapping[str, Sequence[Span]], known: int, *, together: bool) -> str:
    ends = {span.end for spans in shown.values() for span in spans if span.is_fault}
    gap = duration(GAP * made.active(made.seconds))
    return labels.joined(
        f"Bar: a time in which a worker trained; gaps of less than {gap} are not shown"
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


def _specification(
    shown: Mapping[str, Sequence[Span]], made: Attempts, names: JobNames, *, together: bool
) -> dict[str, Any]:
    canvas = Canvas()
    alt = canvas.alt
    seconds = made.active(made.seconds)
    unit, length = next((each for each in (("h", 3600.0), ("min", 60.0)) if seconds > 1.5 * each[1]), ("s", 1.0))
    title = f"time since the first attempt began, {unit}{', pauses left out' if made.pauses else ''}"
    x = canvas.channel("X", "x", title, Scale(0.0, seconds / length))
    y = alt.Y(
        "row:N",
        title=None,
        scale=alt.Scale(domain=list(shown)),
        axis=alt.Axis(ticks=False, domain=False, labelColor=style.LIGHT["ink"]),
    )

    def at(seconds: float) -> float:
        return made.active(seconds) / length

    pauses = canvas.chart([{"x": at(begin)} for begin, _ in made.pauses])
    spans = [(label, span) for label, each in shown.items() for span in each]
    marks = [_span(label, span, at, names) for label, span in spans]
    faults = [mark for mark, (_, span) in zip(marks, spans, strict=True) if span.is_fault]
    bars = canvas.chart(_times(shown, GAP * made.active(made.seconds), at) if together else marks)
    layers = [
        pauses.mark_rule(color=style.LIGHT["axis"], strokeDash=[4, 3]).encode(x=x),
        bars.mark_bar(height=STEP - 6, stroke=style.LIGHT["ground"], strokeWidth=0.5, opacity=0.85)
        .encode(x=x, x2="x2:Q", y=y, color=canvas.own_colour, description="said:N"),
        *(layer.encode(x=x, y=y) for layer in _faults(canvas, faults)),
    ]  # fmt: skip
    return canvas.layered(layers, width=WIDTH, height=alt.Step(STEP))


def _span(label: str, span: Span, at: Callable[[float], float], names: JobNames) -> dict[str, Any]:
    attempt = "" if span.number == 1 else f", attempt {span.number} ({span.cause})"
    job = names.job(span.job.seed, span.job.options)
    lasted = duration(span.stop - span.start)
    said = f"{job}{attempt}: {span.end or 'end unknown'} after {lasted} on {span.worker}"
    return {
        "row": label,
        "x": at(span.start),
        "x2": at(span.stop),
        "colour": style.LIGHT["other" if span.is_fault else "1"],
        "end": span.end,
        "words": FAULTS[str(span.end)].words.partition(",")[0] if span.is_fault else "",
        "said": labels.description(said, span.job.seed),
    }


def _times(shown: Mapping[str, Sequence[Span]], gap: float, at: Callable[[float], float]) -> list[dict[str, Any]]:
    """Return a mark for each time in which a worker trained; shorter gaps than `gap` seconds are part of it."""
    values = []
    for label, spans in shown.items():
        times: list[list[float]] = []
        for span in spans:
            if times and span.start - times[-1][1] < gap:
                times[-1][1] = max(times[-1][1], span.stop)
            else:
                times.append([span.start, span.stop])
        for begin, end in times:
            said = labels.description(f"{label}: trained from {at(begin):.3g} to {at(end):.3g}")
            values.append({"row": label, "x": at(begin), "x2": at(end), "colour": style.LIGHT["1"], "said": said})
    return values


def _faults(canvas: Canvas, found: Sequence[dict[str, Any]]) -> list[Any]:
    """Return the layers of unfinished attempts: marks, and words if they are few, all with an outline."""
    alt = canvas.alt
    found = sorted(found, key=lambda each: float(each["x2"]))
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
