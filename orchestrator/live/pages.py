"""Makes the pages: the index of all sweeps, a sweep's report below a status line, and two sweeps side by side."""

import gzip
import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nn.options.describe import heading
from orchestrator.analysis.summary import STATES, Summary, of_sweep, summary
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.activity import Activity
from orchestrator.folder.locks import locks
from orchestrator.folder.sweeps import Sweeps, content
from orchestrator.live.page import Page
from orchestrator.report.charts.drawing import svg
from orchestrator.report.charts.kinds import curves
from orchestrator.report.charts.marks.canvas import Scale
from orchestrator.report.contents import model, provenance, verdict
from orchestrator.report.contents.parts import DataTable
from orchestrator.report.page.render import asset, document, environment, policy, render_main
from orchestrator.sweeps.fields import seeds_as_text
from orchestrator.text import counted, some
from worker.records.report import Report

_PACKAGE = "orchestrator.live"
#: The fastest gzip level: a page is made every few seconds, and sent a short way.
_LEVEL = 1
#: The pixels of a curve above a page, and the most running jobs there: more hide the verdict on a phone.
WIDTH, HEIGHT = 60, 16
MOST_JOBS = 6
#: Most rows of a table that compares two sweeps.
MOST_ROWS = 100


class Pages:
    """Makes the pages of an output folder.

    Args:
        sweeps: The sweeps of the folder.
        cache_dir: Where prepared data sets are kept; None to keep none.
    """

    def __init__(self, sweeps: Sweeps, cache_dir: Path | None = None) -> None:
        self._sweeps = sweeps
        self._cache_dir = cache_dir
        #: The last sweep with its report, which is made again only if its content has changed.
        self._last: tuple[Hashable, Sweep, str] | None = None

    def sweep(self, name: str) -> Page:
        """Return a sweep's page.

        Raises:
            SeedsweepError: there is no such sweep, or it cannot be read.
        """
        folder = self._sweeps.folder(name)
        # Before the rows: a session that ends meanwhile still runs, on this page.
        taken = locks()
        known = (name, content(folder.path))
        if self._last is None or self._last[0] != known:
            read = Sweep.read(folder)
            # A portrait takes a second, and while jobs end, another network is soon the best.
            portrait = model.content(read, self._cache_dir) if read.finished else model.without(read)
            self._last = known, read, render_main(read, portrait, live=True)
        _, sweep, main = self._last
        stands = of_sweep(sweep, taken)
        told = f"{stands.state.capitalize()}: {STATES[stands.state]}."
        if stands.over:
            told = f"{stands.state.capitalize()}. This page does not change any more."
        about = {"state": stands.state, "changed": stands.changed, "text": told, "above": self._sweeps.only is None}
        progress = None if stands.over else _progress(sweep, stands)
        return _page(f"{name}: {stands.state}", main, {**about, "progress": progress}, over=stands.over)

    def compare(self, first: str, second: str) -> Page:
        """Return the comparison of two sweeps. Raises: as `sweep`."""
        a, b = (Sweep.read(self._sweeps.folder(name)) for name in (first, second))
        main = _filled("compare.html", **compared(a, b))
        about = {"state": "", "changed": "", "above": True, "text": "", "progress": None}
        return _page(f"{first} and {second}", main, about)

    def index(self, summaries: Sequence[dict[str, Any]], unread: int, partial: bool) -> Page:
        """Return the index of all sweeps.

        Args:
            summaries: The fields of their summaries.
            unread: How many more there are.
            partial: Whether some are to be read again.
        """
        shown = sorted((Summary(**each) for each in summaries), key=lambda each: each.state != "running")
        told = {"output": str(self._sweeps.output), "unread": unread, "states": STATES, "picture": picture}
        main = _filled("index.html", sweeps=shown, **told)
        running = sum(each.state == "running" for each in shown)
        text = f"{counted(len(shown) + unread, 'sweep')}, {running} running."
        about = {"state": "", "changed": "", "above": False, "text": text, "progress": None}
        return _page("Sweeps", main, about, partial=partial)

    def summary(self, name: str) -> Summary:
        """Return a sweep's summary. Raises: as `sweep`."""
        folder = self._sweeps.folder(name)
        return summary(folder.path, folder.real)


def _page(title: str, main: str, about: Mapping[str, object], *, over: bool = False, partial: bool = False) -> Page:
    """Return a page below the status line that the template `bar.html` makes from `about`."""
    seen = "\0".join((title, main, repr((over, about))))
    version = hashlib.sha256(seen.encode(errors="surrogatepass")).hexdigest()[:16]
    above = _filled("bar.html", over=over, version=version, **about)
    scripts = [asset("live.js", _PACKAGE)]
    html = document(title, above + main, scripts=scripts)
    body = gzip.compress(html.encode(errors="replace"), _LEVEL, mtime=0)
    return Page(version, f"{policy(scripts)}; frame-ancestors 'none'", partial, 0.0, body)


def _filled(template: str, **content: object) -> str:
    return environment(_PACKAGE).get_template(template).render(**content)


# What goes on in a sweep that has not ended, and the picture of one in the index


def _progress(sweep: Sweep, stands: Summary) -> dict[str, Any]:
    """Return the jobs that have ended, and, while the sweep runs, what its session wrote last."""
    found = Activity.read(sweep.folder.real) if stands.state == "running" else None
    if found is None:
        figures = [f"{stands.done} of {counted(stands.planned, 'job')}"]
        return {"done": stands.done, "planned": stands.planned, "figures": figures, "jobs": []}
    ended = {key for key, row in sweep.rows.items() if row.accepted}
    shown = [(key, each) for key, each in found.jobs.items() if key in sweep.jobs.keys() - ended]
    jobs = [_job(sweep, key, each) for key, each in shown[:MOST_JOBS]]
    # As many as the verdict below counts.
    figures = list(found.model_copy(update={"done": stands.done}).figures())
    return {"done": stands.done, "planned": found.planned, "figures": figures, "jobs": jobs}


def _job(sweep: Sweep, key: str, report: Report | None) -> dict[str, str]:
    """Return a running job: its name, its epoch and metric, and the points of its curve."""
    job = sweep.jobs[key]
    told = {"name": sweep.names.job(job.seed, job.options), "text": "begins", "points": ""}
    if report is not None:
        last = [sweep.names.own_metric.shown(score) for score in report.validation_score[-1:]]
        told["text"] = f"{', '.join([f'epoch {report.epoch} of {job.epochs}', *last])} on {report.worker}"
        told["points"] = " ".join(_points(report.validation_score, min(report.epoch / job.epochs, 1.0)))
    return told


def _points(scores: list[float], share: float) -> Iterator[str]:
    if len(scores) > 1:
        scale = Scale.of(scores)
        for i, score in enumerate(scores):
            yield f"{share * WIDTH * i / (len(scores) - 1):.1f},{HEIGHT * (1 - scale.share(score)):.1f}"


def picture(found: Summary) -> list[tuple[float, float, float]]:
    """Return the low end, the mean and the high end of each configuration of a summary, in percent of its width."""
    scale = Scale.of([mean for mean, _, _ in found.means])
    return [
        (100 * scale.share(mean if low is None else low), 100 * scale.share(mean),
         100 * scale.share(mean if high is None else high))
        for mean, low, high in found.means
    ]  # fmt: skip


# Two sweeps side by side


def compared(a: Sweep, b: Sweep) -> dict[str, Any]:
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
    varying = {*a.names.varying, *b.names.varying}
    first, second = (
        {each.scored.options.model_dump_json(include=varying): each for each in board.standings}
        for board in (a.leaderboard, b.leaderboard)
    )
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


def _differs(a: Sweep, b: Sweep) -> DataTable | None:
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
