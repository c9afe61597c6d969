"""The page of a report: text stays text, markup is markup, and long sweeps stay short."""

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.live.pages import compared
from orchestrator.report.contents import reproduce, verdict
from orchestrator.report.page.render import BEGINNING, document, policy, render
from orchestrator.sweeps.provenance import Provenance
from orchestrator.sweeps.rounds import Round
from tests.support.boards import Outcome, folder_of, sweep_with, trained
from tests.support.known import known
from tests.support.report_folders import CONTROLS, INJECTIONS, TEXTS
from tests.support.sweep_folders import filled
from tests.support.sweeps import sweep_of
from worker.job import Job
from worker.trainers.protocol import Metric
from worker.trainers.registry import trainer

CLASSED = {("bdi", "class"), ("td", "class"), ("th", "class")}
HOSTILE = (*INJECTIONS, *TEXTS, *CONTROLS)


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # What looks like a number, or is long, has a class of its own.
        self.elements.append((tag, tuple(name for name, _ in attrs if (tag, name) not in CLASSED)))

    def handle_data(self, data: str) -> None:
        self.text += data


def sweep_of_strangers(output: Path, texts: tuple[str, ...]) -> Sweep:
    """Return a sweep in which somebody else wrote these texts wherever a folder may have any."""
    specification = sweep_of(seeds=tuple(range(len(texts))), learning_rates=(0.1, 0.2), epochs=2)

    def ended(job: Job) -> Row:
        text = texts[job.seed]
        if job.options.learning_rate == 0.2:
            return lost_row(job, "failed", text)
        changed = {"reused_from": text} if job.seed % 2 else {}
        return trained(job, 0.5, worker=text[:1000]).model_copy(update=changed)

    folder = filled(output, specification.model_copy(update={"data": texts[0]}), ended)
    manifest = folder.manifest()
    sessions = [
        Provenance(
            created=text, host=text, python=text, platform=text, packages={text: text}, git_commit=text, git_dirty=True,
            trainer_package=text,
        )
        for text in (each[:1000] for each in texts)
    ]  # fmt: skip
    folder.write_manifest(manifest.model_copy(update={"provenance": sessions[0], "resumed": sessions[1:]}))
    return Sweep.read(folder)


def test_text_of_strangers_is_text_everywhere(tmp_path: Path) -> None:
    # Given a sweep with hostile texts, and the same with harmless ones
    harmless = tuple(re.sub(r"[^\w ]", "x", text) for text in HOSTILE)

    pages = [Skeleton(render(sweep_of_strangers(tmp_path / each, texts))) for each, texts in
             (("hostile", HOSTILE), ("harmless", harmless))]  # fmt: skip

    # Then both pages have the same elements with the same attributes
    assert pages[0].elements == pages[1].elements
    # And the texts stand there as they are, but for what one could not see
    for text in HOSTILE:
        assert CONTROLS.get(text, text) in pages[0].text
    assert not re.search("[\x1b\x07\u202e]", pages[0].text)


def test_one_text_of_a_stranger_costs_a_page_little(tmp_path: Path) -> None:
    page = render(sweep_of_strangers(tmp_path, ("x" * 1_000_000,)))
    assert len(page) < 500_000


def test_a_title_cannot_leave_its_element() -> None:
    page = document("</title><script>x</script>", "<main></main>")
    assert [tag for tag, _ in Skeleton(page).elements].count("script") == 1
    assert page.startswith(BEGINNING)


def test_the_policy_allows_its_own_style_and_script_and_nothing_else() -> None:
    # SHA-256 of the empty text, as RFC 6234 has it, in base64
    empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"

    said = dict(part.split(" ", 1) for part in policy(["", ""]).split("; "))

    assert said["default-src"] == "'none'"
    assert said["script-src"].startswith(f"{empty} {empty} 'sha256-")
    assert all(re.fullmatch(r"('sha256-[\w+/]{43}=' ?)+", said[name]) for name in ("style-src", "script-src"))
    assert (said["base-uri"], said["form-action"]) == ("'none'",) * 2
    assert (said["connect-src"], "connect-src 'none'" in policy()) == ("'self'", True)


#: Scores of seeds that are no better under one learning rate than under another.
NOISE = (0.0, 0.03, 0.01, 0.05, 0.02)
SMALL_NOISE = tuple(each / 5 for each in (0.0, 0.05, 0.1, 0.025, 0.075, 0.05))
CLOSE = (0.9737, 0.9739, 0.9735, 0.9742, 0.9738)
#: For each case: how the jobs of each learning rate ended, seed by seed; and how what is said of the verdict begins,
#: or with `...` before it, ends.
VERDICTS: dict[str, tuple[Mapping[float, Sequence[Outcome]], Mapping[str, str | None]]] = {
    "decided": (
        {0.1: [0.5 + seed / 1e3 for seed in range(5)], 0.2: [0.9 + seed / 1e3 for seed in range(5)]},
        {
            "state": "decided",
            "The leader": "learning rate 0.2: a mean of 90.20 % over 5 seeds; over all seeds,",
            "Regret": "None: it is the best, with a probability of at least 95 %",
            "What to expect of it": "90.20 % of a further seed (honest mean)",
            "What would decide": None,
        },
    ),
    "undecided": (
        {
            0.1: [0.5 + each for each in NOISE],
            0.2: [0.511 + NOISE[2 * seed % 5] for seed in range(5)],
            0.3: [0.1] * 5,
            0.4: ["diverged"] * 5,
        },
        {
            "state": "undecided",
            "Regret": "At most 1.6 points worse than the best, with a probability of at least 95 %",
            "What would decide": "A race to a regret of 0.8 points takes about ",
        },
    ),
    # Each of two configurations is the better one under some seed.
    "alike": (
        {rate: [0.5 + seed * rate % 0.3 for seed in range(4)] for rate in (0.1, 0.2)},
        {"What to expect of it": "...; its own mean is flattered, because it was chosen for it"},
    ),
    # A choice flatters only where it played a part: seeds that make parts of unequal sizes, and a single configuration.
    "ahead": (
        {0.1: [0.9, 0.91, 0.92, 0.93, 0.99], 0.2: [0.5, 0.5, 0.5, None, None]},
        {"What to expect of it": "...93.00 % of a further seed (honest mean)"},
    ),
    "alone": ({0.1: [0.9, 0.92]}, {"What to expect of it": "...91.00 % of a further seed (honest mean)"}),
    "diverged": ({0.1: [0.9, 0.92, 0.91], 0.2: [0.95, "diverged", "diverged"]}, {"Regret": None}),
    "waiting": (
        {0.1: [*CLOSE], 0.2: [score - 0.1 for score in CLOSE], 0.3: [None] * len(CLOSE), 1: ["diverged"] * len(CLOSE)},
        {"Regret": "None: it is the best of 2 with a result, with a probability of at least 95 %, however often"},
    ),
    "too few": (
        {0.1: [0.9, 0.91, 0.92, None, None], 0.2: [None, None, 0.5, 0.51, 0.52]},
        {"state": "so-far", "Regret": None, "What would decide": "5 seeds of each configuration are a start"},
    ),
    # The leader by its rank is most probably not the best: a job of the better one diverged. Each has five seeds.
    "improbable": (
        {
            0.1: [0.9 + each / 10 for each in SMALL_NOISE],
            0.2: [*(0.95 + each / 10 for each in SMALL_NOISE[:5]), "diverged"],
        },
        {"state": "decided", "Regret": None, "Probability that it is the best": None},
    ),
    "running": ({0.1: [*CLOSE, None], 0.2: [*CLOSE[::-1], None]}, {"What would decide": "More seeds"}),
    "ahead while it runs": (
        {0.1: [*CLOSE, *CLOSE, 0.9738], 0.2: [*(score - 0.1 for score in [*CLOSE, *CLOSE[::-1]]), None]},
        {
            "state": "so-far",
            "Regret": "None: it is the best, with a probability of at least 95 %, however often one looks",
        },
    ),
    "fine": ({0.1: [0.5, 0.5]}, {"What went wrong": "...No job failed, diverged or was cancelled"}),
    "failed": (
        {0.1: [0.5, "failed"], 0.2: [0.5, "failed"]},
        {"What went wrong": "Of 4 jobs, 2 failed; the accounting has each with its reason"},
    ),
}


def judged(output: Path, case: str) -> Sweep:
    return sweep_with(output, VERDICTS[case][0])


@pytest.mark.parametrize("case", VERDICTS)
def test_a_verdict_says_what_holds_and_no_more(tmp_path: Path, case: str) -> None:
    sweep = judged(tmp_path, case)

    said = {fact.term: fact.text for fact in verdict.facts(sweep)} | {"state": verdict.state(sweep)}

    for term, text in VERDICTS[case][1].items():
        if text is None:
            assert term not in said
        elif text.startswith("..."):
            assert said[term].endswith(text[3:]), said[term]
        else:
            assert said[term].startswith(text), said[term]


def test_a_mean_that_the_choice_left_as_it_is_is_not_called_flattered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(trainer("network")), "metric", Metric(name="error", higher_is_better=False))
    said = {fact.term: fact.text for fact in verdict.facts(judged(tmp_path, "ahead"))}
    assert said["What to expect of it"] == "0.5 of a further seed (honest mean)"


def test_an_undecided_verdict_names_the_command_that_would_decide(tmp_path: Path) -> None:
    sweep = judged(tmp_path, "undecided")

    fact = next(fact for fact in verdict.facts(sweep) if fact.term == "What would decide")

    advice = known(sweep.leaderboard.verdict.advice)
    assert fact.command == f"orchestrator decide a --within 0.008 --budget {advice.budget}"
    assert f"{advice.jobs:,} jobs" in fact.text


@pytest.mark.parametrize("first", [None, 0.5])
def test_a_sweep_that_has_hardly_begun_has_a_page(tmp_path: Path, first: float | None) -> None:
    snapshot = sweep_with(tmp_path, {0.1: [first, None], 0.2: [first, None]})

    page = Skeleton(render(snapshot)).text

    assert f"Report of a sweep\na\nBegan 2024-02-29 12:00 UTC on vm.\n{len(snapshot.rows)} of 4 jobs" in page
    assert snapshot.leaderboard.verdict.sentence in page


def test_a_long_sweep_shows_its_first_rows_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((verdict, "MOST_ROWS"), (reproduce, "MOST_ROWS"), (reproduce, "MOST_JOBS")):
        monkeypatch.setattr(module, name, 40 if name == "MOST_ROWS" else 8)
    many = tuple(float(f"{0.001 * 1.005**i:.6f}") for i in range(verdict.MOST_ROWS + 7))
    snapshot = sweep_with(tmp_path, {rate: [rate] for rate in many})

    again = reproduce.jobs(snapshot)
    page = Skeleton(render(snapshot)).text

    assert len(verdict.table(snapshot)[0].rows) == len(reproduce.configurations(snapshot)) == verdict.MOST_ROWS
    assert "orchestrator leaderboard a --csv" in page
    assert f"{verdict.MOST_ROWS} of {len(snapshot.jobs)} configurations." in page
    assert f"The first {reproduce.MOST_JOBS} of {len(snapshot.jobs)} jobs, with commands" in page
    # The best jobs are those that are shown.
    assert len(again) == reproduce.MOST_JOBS
    assert again[0].name.startswith(f"seed 0, learning rate {max(many):g}: ")


def test_what_never_happened_has_no_column(tmp_path: Path) -> None:
    fine, broken = (sweep_with(tmp_path / str(how), {0.1: [how] * 2, 0.2: [how] * 2}) for how in (0.5, "failed"))

    assert not {"failed", "cancelled", "diverged", "rate of divergence"} & set(verdict.table(fine)[0].headings)
    named = "rank, learning rate, n, mean, interval, best?, failed"
    assert ", ".join(verdict.table(broken)[0].headings) == named


def test_a_page_says_how_a_sweep_was_extended_and_why_a_chart_is_absent(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {0.1: [0.5, 0.5]})
    fresh = Sweep.read(folder)
    for seeds in ((5, 6), (9,)):
        folder.write_manifest(folder.manifest().with_round(Round(kind="extend", seeds=seeds)))

    page = Skeleton(render(Sweep.read(folder))).text

    # The page of two sweeps has all rounds of a kind in one row.
    differs = known(compared(Sweep.read(folder), fresh)["differs"])
    assert ("Extended by extend", "seeds 5-6; seeds 9", "-") in differs.rows

    for said in (
        "Extended by extend",
        "seeds 5-6",
        "the same bits on every CPU",
        "There is no such chart: there are no two configurations that can be recommended.",
    ):
        assert said in page


def test_a_renamed_folder_has_its_own_name_in_commands_and_both_in_the_heading(tmp_path: Path) -> None:
    # Given a sweep whose folder was renamed, and another one that has its name now
    elsewhere = tmp_path / "elsewhere"
    folder = folder_of(elsewhere, {0.1: [0.6, 0.6], 0.2: [0.7, 0.7]})
    folder.path.rename(elsewhere / "theirs")

    markup = render(Sweep.read(SweepFolder(elsewhere, "theirs")))

    page = Skeleton(markup)
    assert "<title>theirs: report</title>" in markup
    assert "theirs, which began as a" in page.text
    assert "orchestrator verify theirs " in page.text
    assert "orchestrator report theirs" in page.text
    assert not re.search(r"orchestrator (verify|report|leaderboard) a\b", page.text)
    # And the page says what to add to its commands, but not where the folder is
    assert "add --output" in page.text
    assert str(elsewhere) not in markup
