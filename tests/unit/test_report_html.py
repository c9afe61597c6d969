"""The page of a report: text stays text, markup is markup, and long sweeps stay short."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report.contents import reproduce, standings, verdict
from orchestrator.report.page.policy import content_security_policy
from orchestrator.report.page.render import BEGINNING, document, render
from orchestrator.sweeps.provenance import Provenance
from orchestrator.sweeps.rounds import Round
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.boards import Outcome, ended, trained
from tests.support.report_folders import CONTROLS, INJECTIONS, TEXTS
from tests.support.snapshots import folder_of, snapshot_of
from tests.support.sweeps import sweep_of
from worker.job import Job

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


def sweep_with(output: Path, texts: tuple[str, ...]) -> Sweep:
    """Return a sweep in which somebody else wrote these texts wherever a folder may have any."""
    specification = sweep_of(seeds=tuple(range(len(texts))), learning_rates=(0.1, 0.2), epochs=2)

    def ended(job: Job) -> Row:
        text = texts[job.seed]
        if job.options.learning_rate == 0.2:
            return lost_row(job, "failed", text)
        changed = {"reused_from": text} if job.seed % 2 else {}
        return trained(job, 0.5, worker=text[:10_000]).model_copy(update=changed)

    folder = folder_of(output, specification.model_copy(update={"data": texts[0]}), ended)
    manifest = folder.manifest()
    sessions = [
        Provenance(
            created=text, host=text, python=text, platform=text, packages={text: text}, git_commit=text, git_dirty=True,
            trainer_package=text,
        )
        for text in texts
    ]  # fmt: skip
    folder.write_manifest(manifest.model_copy(update={"provenance": sessions[0], "resumed": sessions[1:]}))
    return Sweep.read(folder)


def test_text_of_strangers_is_text_everywhere(tmp_path: Path) -> None:
    # Given a sweep with hostile texts, and the same with harmless ones
    harmless = tuple(re.sub(r"[^\w ]", "x", text) for text in HOSTILE)

    pages = [Skeleton(render(sweep_with(tmp_path / each, texts))) for each, texts in
             (("hostile", HOSTILE), ("harmless", harmless))]  # fmt: skip

    # Then both pages have the same elements with the same attributes
    assert pages[0].elements == pages[1].elements
    # And the texts stand there as they are, but for what one could not see
    for text in HOSTILE:
        assert CONTROLS.get(text, text) in pages[0].text
    assert not re.search("[\x1b\x07\u202e]", pages[0].text)


def test_one_text_of_a_stranger_costs_a_page_little(tmp_path: Path) -> None:
    page = render(sweep_with(tmp_path, ("x" * 1_000_000,)))
    assert len(page) < 500_000


def test_a_title_cannot_leave_its_element() -> None:
    page = document("</title><script>x</script>", "<main></main>")
    assert [tag for tag, _ in Skeleton(page).elements].count("script") == 1
    assert page.startswith(BEGINNING)


def test_the_policy_allows_its_own_style_and_script_and_nothing_else() -> None:
    # SHA-256 of the empty text, as RFC 6234 has it, in base64
    empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"

    policy = dict(part.split(" ", 1) for part in content_security_policy([""], ["", ""]).split("; "))

    assert policy["default-src"] == "'none'"
    assert (policy["style-src"], policy["script-src"]) == (empty, f"{empty} {empty}")
    assert (policy["connect-src"], policy["base-uri"], policy["form-action"]) == ("'none'",) * 3
    assert "connect-src 'self'" in content_security_policy([], [], live=True)
    assert "script-src 'none'" in content_security_policy([], [])


def scored(score: Callable[[Job], float | None]) -> Callable[[Job], Row | None]:
    def ended(job: Job) -> Row | None:
        value = score(job)
        return None if value is None else trained(job, value)

    return ended


def rates(seeds: int, *learning_rates: float) -> SweepSpecification:
    return sweep_of(seeds=tuple(range(seeds)), learning_rates=learning_rates, epochs=2)


def test_a_decided_verdict_says_how_sure_it_is(tmp_path: Path) -> None:
    snapshot = snapshot_of(
        tmp_path,
        rates(5, 0.1, 0.2),
        scored(lambda job: 0.5 + 0.4 * (job.options.learning_rate == 0.2) + job.seed / 1e3),
    )

    content = verdict.content(snapshot)

    facts = {fact.term: fact for fact in content.facts}
    assert content.state == "decided"
    assert facts["The leader"].text.startswith("learning rate 0.2: a mean of 90.20 % over 5 seeds; over all seeds,")
    assert facts["How sure"].text.startswith(
        "It beats all others, by comparisons that drop the best configuration in at most 5 %"
    )
    assert facts["What it beats"].text.startswith("It beats learning rate 0.1 by 40.00 ± ")
    assert facts["What to expect of it"].text.startswith("90.20 % of a further seed (honest mean)")
    assert "What would decide" not in facts


def test_an_undecided_verdict_names_what_would_decide(tmp_path: Path) -> None:
    noise = (0.0, 0.03, 0.01, 0.05, 0.02)
    snapshot = snapshot_of(
        tmp_path,
        rates(5, 0.1, 0.2, 0.3),
        scored(
            lambda job: (
                0.1
                if job.options.learning_rate == 0.3
                else 0.5
                + noise[(job.seed * (1 + (job.options.learning_rate == 0.2))) % 5]
                + 0.01 * (job.options.learning_rate == 0.2)
            )
        ),
    )

    content = verdict.content(snapshot)

    facts = {fact.term: fact for fact in content.facts}
    seeds = snapshot.leaderboard.verdict.seeds_to_decide
    assert content.state == "undecided"
    assert facts["How sure"].text.startswith(
        "The best is one of 2 contenders of 3 configurations, with a probability of at least 95 %: "
    )
    assert facts["What would decide"].command == f"orchestrator confirm a --top 2 --seeds {seeds}"
    assert f"{2 * (seeds or 0):,} jobs" in facts["What would decide"].text


def test_a_verdict_is_not_surer_than_it_may_be(tmp_path: Path) -> None:
    # Given two configurations, of which each is the better one under some seed
    alike = snapshot_of(
        tmp_path, rates(4, 0.1, 0.2), scored(lambda job: 0.5 + (job.seed * job.options.learning_rate) % 0.3)
    )

    facts = {fact.term: fact.text for fact in verdict.content(alike).facts}

    assert facts["How sure"] == "Not at all: each of the 2 configurations may be the best"
    leader = alike.leaderboard.standings[0]
    assert (leader.mean or 0.0) > (leader.honest_mean or 0.0)
    assert "flattered" in facts["What to expect of it"]


def facts_of(output: Path, outcomes: Mapping[float, Sequence[Outcome]]) -> dict[str, str]:
    """Return what the verdict rests on, of learning rates whose jobs ended so, seed by seed."""
    specification = rates(len(next(iter(outcomes.values()))), *outcomes)
    snapshot = snapshot_of(output, specification, lambda job: ended(job, outcomes[job.options.learning_rate][job.seed]))
    return {fact.term: fact.text for fact in verdict.content(snapshot).facts}


def test_a_choice_flatters_only_where_it_played_a_part(tmp_path: Path) -> None:
    # Given a leader that is better under each seed, with seeds that make parts of unequal sizes
    ahead = facts_of(tmp_path / "ahead", {0.1: [0.9, 0.91, 0.92, 0.93, 0.99], 0.2: [0.5, 0.5, 0.5, None, None]})
    alone = facts_of(tmp_path / "alone", {0.1: [0.9, 0.92]})

    assert ahead["What to expect of it"] == (
        "93.00 % of a further seed (honest mean), as its own mean says: being chosen did not flatter it"
    )
    assert alone["What to expect of it"] == "91.00 % of a further seed (honest mean)"


def test_a_verdict_says_why_there_is_no_other_candidate(tmp_path: Path) -> None:
    diverged = {0.1: [0.9, 0.92, 0.91], 0.2: [0.95, "diverged", "diverged"]}

    decided = facts_of(tmp_path / "decided", diverged)
    waiting = facts_of(tmp_path / "waiting", diverged | {0.3: [None, None, None]})

    assert decided["How sure"] == "It is the only candidate: the others have no mean, or most of their jobs diverged"
    assert waiting["How sure"] == "Not at all yet: 1 other configuration has no result so far"


def test_a_comparison_is_said_to_be_on_common_seeds_only_where_it_is(tmp_path: Path) -> None:
    same = facts_of(tmp_path / "same", {0.1: [0.9, 0.91, 0.92], 0.2: [0.5, 0.51, 0.52]})
    others = facts_of(
        tmp_path / "others",
        {0.1: [0.9, 0.91, 0.92, None, None, None], 0.2: [None, None, None, 0.5, 0.51, 0.52]},
    )

    assert same["What it beats"].endswith(", on the seeds that both have")
    assert others["What it beats"].startswith("It beats learning rate 0.2 by 40.00 ± ")
    assert "seeds" not in others["What it beats"]


def test_a_small_probability_is_not_nothing(tmp_path: Path) -> None:
    # Given a leader by its rank that is most probably not the best: a job of the better one diverged
    noise = (0.0, 0.01, 0.02, 0.005, 0.015, 0.01)
    better: list[Outcome] = [0.95 + each / 10 for each in noise]
    facts = facts_of(tmp_path, {0.1: [0.9 + each / 10 for each in noise], 0.2: [*better[:5], "diverged"]})

    assert facts["Probability that it is the best"].startswith("less than 1 %")
    # Each has five seeds already.
    assert facts["What would decide"] == "It cannot be told how many more seeds would"


def test_a_page_says_why_it_has_no_differences(tmp_path: Path) -> None:
    page = Skeleton(render(snapshot_of(tmp_path, rates(2, 0.1), scored(lambda _: 0.5)))).text
    assert "There is no such chart: there are no two configurations of which most jobs trained." in page


def test_a_verdict_says_what_went_wrong(tmp_path: Path) -> None:
    def ended(job: Job) -> Row:
        return lost_row(job, "failed", "it broke") if job.seed == 1 else trained(job, 0.5)

    fine = snapshot_of(tmp_path / "fine", rates(2, 0.1, 0.2), scored(lambda _: 0.5))
    broken = snapshot_of(tmp_path / "broken", rates(2, 0.1, 0.2), ended)

    said = [verdict.content(each).facts[-1].text for each in (fine, broken)]

    assert said[0] == "No job failed, diverged or was cancelled"
    assert said[1] == "Of 4 jobs, 2 failed; the accounting has each with its reason"


@pytest.mark.parametrize("score", [lambda _: None, lambda job: 0.5 if job.seed == 0 else None])
def test_a_sweep_that_has_hardly_begun_has_a_page(tmp_path: Path, score: Callable[[Job], float | None]) -> None:
    snapshot = snapshot_of(tmp_path, rates(2, 0.1, 0.2), scored(score))

    page = Skeleton(render(snapshot)).text

    assert f"{len(snapshot.rows)} of 4 jobs have ended" in page
    assert snapshot.leaderboard.verdict.sentence in page


def test_a_long_sweep_shows_its_first_rows_and_says_so(tmp_path: Path) -> None:
    many = tuple(float(f"{0.001 * 1.005**i:.6f}") for i in range(standings.MOST_ROWS + 7))
    snapshot = snapshot_of(tmp_path, rates(1, *dict.fromkeys(many)), scored(lambda job: job.options.learning_rate))

    content, again = standings.content(snapshot), reproduce.content(snapshot)

    assert len(content.table.rows) == len(again.rows) == standings.MOST_ROWS
    assert content.every == "orchestrator leaderboard a --csv"
    assert f"{standings.MOST_ROWS} of {len(snapshot.jobs)} configurations" in content.notes
    assert (len(again.jobs), again.jobs_in_all) == (reproduce.MOST_JOBS, len(snapshot.jobs))
    # The best jobs are those that are shown.
    assert again.jobs[0].name == f"seed 0, learning rate {max(many):g}"


def test_what_never_happened_has_no_column(tmp_path: Path) -> None:
    fine = snapshot_of(tmp_path / "fine", rates(2, 0.1, 0.2), scored(lambda _: 0.5))
    broken = snapshot_of(tmp_path / "broken", rates(2, 0.1, 0.2), lambda job: lost_row(job, "failed", "it broke"))

    assert not {"failed", "cancelled", "diverged", "rate of divergence"} & set(standings.content(fine).table.headings)
    assert list(standings.content(broken).table.headings) == [
        "rank",
        "learning rate",
        "n",
        "mean",
        "interval",
        "best?",
        "failed",
    ]


def test_provenance_names_how_a_sweep_was_extended(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, rates(2, 0.1), lambda job: trained(job, 0.5))
    folder.write_manifest(folder.manifest().with_round(Round(kind="extend", seeds=(5, 6))))

    page = Skeleton(render(Sweep.read(folder))).text

    assert "Extended by extend" in page
    assert "seeds 5-6" in page
    assert "the same bits on every CPU" in page


def test_a_renamed_folder_has_its_own_name_in_commands_and_both_in_the_heading(tmp_path: Path) -> None:
    # Given a sweep whose folder was renamed, and another one that has its name now
    elsewhere = tmp_path / "elsewhere"
    folder = folder_of(elsewhere, rates(2, 0.1, 0.2), scored(lambda job: 0.5 + job.options.learning_rate))
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


def test_a_folder_that_has_its_first_name_has_one_in_the_heading(tmp_path: Path) -> None:
    page = render(Sweep.read(folder_of(tmp_path, rates(2, 0.1), lambda job: trained(job, 0.5))))
    assert "<h1><bdi>a</bdi></h1>" in page
