"""Two sweeps side by side: their verdicts, common configurations and curves, and what differs between them."""

from collections.abc import Mapping, Sequence
from typing import Any

from nn.options.describe import heading
from orchestrator.analysis.leaderboard.board import Standing
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts.drawing import svg
from orchestrator.report.charts.kinds import curves
from orchestrator.report.contents import provenance, verdict
from orchestrator.report.contents.parts import DataTable
from orchestrator.sweeps.fields import seeds_as_text
from orchestrator.text import some

#: Most rows of a table.
MOST_ROWS = 100


def content(a: Sweep, b: Sweep) -> dict[str, Any]:
    """Return what the template `compare.html` shows of two sweeps."""
    chart = curves.of_both(a, b)
    return {
        "sweeps": [(each, verdict.state(each), each.leaderboard.verdict.sentence) for each in (a, b)],
        "common": _common(a, b),
        "charts": [] if chart is None else [(chart, svg(chart))],
        "differs": _differs(a, b),
    }


def _common(a: Sweep, b: Sweep) -> DataTable | None:
    """Return a row for each configuration that both sweeps have, by the options that vary in one of them."""
    varying = sorted({*a.names.varying, *b.names.varying})
    first, second = ({_options(each, one, varying): one for one in each.leaderboard.standings} for each in (a, b))
    rows = []
    for options, standing in first.items():
        if options in second:
            figures = [
                text
                for sweep, each in ((a, standing), (b, second[options]))
                for text in (sweep.names.metric.number(each.mean), f"{each.n}/{each.planned}")
            ]
            name = a.names.configuration(standing.options) or b.names.configuration(second[options].options)
            rows.append((name or "the only one", *figures))
    headings = ("configuration", f"mean in {a.name}", "n", f"mean in {b.name}", "n")
    return DataTable.of("Common configurations", headings, rows, "configuration", MOST_ROWS) if rows else None


def _options(sweep: Sweep, standing: Standing, varying: Sequence[str]) -> str:
    """Return these options of a configuration as text that is the same in every sweep."""
    return sweep.jobs[standing.scored.keys[0]].options.model_dump_json(include=set(varying))


def _differs(a: Sweep, b: Sweep) -> DataTable | None:
    """Return a row for each option, version or data set that differs."""
    first, second = _described(a), _described(b)
    every = {name: (first.get(name, "-"), second.get(name, "-")) for name in (*first, *second)}
    rows = [(name, *both) for name, both in every.items() if both[0] != both[1]]
    return DataTable.of("What differs", ("what", a.name, b.name), rows, "difference", MOST_ROWS) if rows else None


def _described(sweep: Sweep) -> Mapping[str, str]:
    names, sessions = sweep.names, provenance.sessions(sweep)
    values = {**{name: (value,) for name, value in names.common.items()}, **names.varying}
    facts: dict[str, str] = {}
    for fact in provenance.facts(sweep):
        facts[fact.term] = f"{facts[fact.term]}; {fact.text}" if fact.term in facts else fact.text
    return {
        **{term: text for term, text in facts.items() if text != sweep.name},
        **{heading(names.model, name): some([names.shown(name, each) for each in values[name]]) for name in values},
        "seeds": seeds_as_text(tuple(dict.fromkeys(job.seed for job in sweep.jobs.values()))),
        **dict(zip(sessions.headings, sessions.rows[-1], strict=True)),
    }
