"""The verdict: what it says for every kind of sweep, and that its words agree with its fields."""

import random
import re
from typing import Any

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard.judgement import Verdict, amount, at_most, by_margin
from orchestrator.analysis.leaderboard.table import by_configuration
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.boards import Outcome, board_of, jobs_of, leaderboard, trained
from tests.support.known import known
from tests.support.paths import ROOT
from worker.trainers.protocol import Metric

BEST = [0.9740, 0.9736, 0.9745, 0.9738, 0.9741]
CLOSE = [0.9737, 0.9739, 0.9735, 0.9742, 0.9738]
WORSE = [0.9719, 0.9711, 0.9737, 0.9713, 0.9714]
WORST = [0.96, 0.961, 0.959, 0.96, 0.96]
SPREAD = [0.96, 0.962, 0.957, 0.96, 0.958, 0.959]
MORE: list[Outcome] = [0.9, 0.91, 0.9, 0.905, 0.9, *[0.99] * 5]
AHEAD: list[Outcome] = [0.92, 0.93, 0.921, 0.926, 0.919, *["failed"] * 5]
LATE: list[Outcome] = ["failed"] * 6
SHARE = Metric(name="accuracy", is_share=True)
ERROR = Metric(name="error", higher_is_better=False)
RACE: dict[str, Any] = {"history": "race"}
LUCK = random.Random(1)


def right(answers: int, of: int = 10_500) -> list[bool]:
    return [True] * answers + [False] * (of - answers)


#: How jobs ended, how they are judged, the sentence, whether it decides, and the contenders by rank.
VERDICTS: dict[str, tuple[dict[float, list[Outcome]], dict[str, Any], str, bool, list[float]]] = {
    "decided": (
        {0.01: WORSE, 0.03: BEST, 0.003: WORST}, {},
        "Use learning rate 0.03: it is the best of 3.", True, [0.03],
    ),
    "one rival": (
        {0.02: CLOSE, 0.03: BEST}, {},
        "Use learning rate 0.03: no other is better by more than 0.036 points. 0.02 is not distinguishable from it: "
        "the difference is 0.02 ± 0.06 points.", False, [0.03, 0.02],
    ),
    "one rival, and a seed after the last look": (
        {0.02: [*CLOSE, 0.9737], 0.03: [*CLOSE[::-1], 0.9739]}, RACE,
        "Use learning rate 0.03: no other is better by more than 0.038 points. 0.02 is not distinguishable from it: "
        "the difference is 0.00 ± 0.04 points over the first 5 of 6 common seeds.", False, [0.03, 0.02],
    ),
    "one rival, and one that is ruled out": (
        {0.01: WORST, 0.02: CLOSE, 0.03: BEST}, {},
        "Use learning rate 0.03: no other is better by more than 0.052 points. 0.02 is not distinguishable from it: "
        "the difference is 0.02 ± 0.07 points. 0.01 is ruled out.", False, [0.03, 0.02],
    ),
    "several, after a look": (
        {0.02: [*CLOSE, 0.97], 0.03: [*BEST, 0.972], 0.04: [*CLOSE[::-1], 0.97]}, RACE,
        "Use learning rate 0.03: no other is better by more than 0.11 points. 0.02 and 0.04 are not distinguishable "
        "from it: they are behind by 0.02 and 0.02 points over the first 5 of 6 common seeds.", False,
        [0.03, 0.02, 0.04],
    ),
    "several, of which one has fewer seeds": (
        {0.02: [*CLOSE, "failed"], 0.03: [*BEST, 0.9745], 0.04: [*CLOSE[::-1], 0.9737]}, RACE,
        "Use learning rate 0.03: no other is better by more than 0.11 points. 0.02 and 0.04 are not distinguishable "
        "from it: they are behind by 0.02 and 0.02 points over their common seeds up to the last look. Of 18 jobs, 1 "
        "failed.", False, [0.03, 0.02, 0.04],
    ),
    "several, of which one has other seeds": (
        {0.02: [*CLOSE, 0.97, *LATE[:5]], 0.03: [*BEST, 0.9745, *LATE[:5]], 0.04: [*LATE, *CLOSE]}, RACE,
        "Use learning rate 0.03: no other is better by more than 0.17 points. 0.04 and 0.02 are not distinguishable "
        "from it. Of 33 jobs, 16 failed.", False, [0.03, 0.04, 0.02],
    ),
    "several, of which one has failed at times": (
        {0.02: [*CLOSE, "failed"], 0.03: [*BEST, 0.9745], 0.04: [*CLOSE[::-1], 0.9737]}, {},
        "Use learning rate 0.03: no other is better by more than 0.052 points. 0.02 and 0.04 are not distinguishable "
        "from it: they are behind by 0.02 and 0.03 points. Of 18 jobs, 1 failed.", False, [0.03, 0.02, 0.04],
    ),
    "several": (
        {0.001: WORST, 0.002: WORST, 0.02: CLOSE, 0.03: BEST, 0.04: CLOSE[::-1]}, {},
        "Use learning rate 0.03: no other is better by more than 0.075 points. 0.02 and 0.04 are not distinguishable "
        "from it: they are behind by 0.02 and 0.02 points. 0.001 and 0.002 are ruled out.", False, [0.03, 0.02, 0.04],
    ),
    "many": (
        {0.01 * i: [0.97 + 0.01 * LUCK.random() for _ in range(5)] for i in range(1, 6)}, {},
        "Use learning rate 0.04: no other is better by more than 0.85 points. 4 others are not distinguishable from "
        "it.",
        False, [0.04, 0.01, 0.03, 0.05, 0.02],
    ),
    "so far": (
        {0.02: [*CLOSE, None], 0.03: [*BEST, None]}, {},
        "So far, learning rate 0.03 leads: no other is better by more than 0.077 points. 0.02 is not distinguishable "
        "from it: the difference is 0.02 ± 0.10 points. Of 12 jobs, 2 have no result yet.", False, [0.03, 0.02],
    ),
    "so far, with a configuration that waits": (
        {0.03: BEST, 0.01: WORST, 0.1: [None] * 5}, {},
        "So far, learning rate 0.03 leads: it is the best of 2 with a result. Of 15 jobs, 5 have no result yet.",
        False, [0.03],
    ),
    "so far, with configurations to come": (
        {0.03: BEST, 0.01: WORST}, {"running": True},
        "So far, learning rate 0.03 leads: it is the best of 2.", False, [0.03],
    ),
    "so far, with a cancelled job": (
        {0.03: [*BEST, 0.974], 0.01: [*WORST, "cancelled"]}, {},
        "So far, learning rate 0.03 leads: it is the best of 2. Of 12 jobs, 1 was cancelled.", False, [0.03],
    ),
    "one rival, and one without a result": (
        {0.02: CLOSE, 0.03: BEST, 0.1: ["failed"] * 5}, {},
        "Use learning rate 0.03: no other with a result is better by more than 0.036 points. 0.02 is not "
        "distinguishable from it: the difference is 0.02 ± 0.06 points. Of 15 jobs, 5 failed.", False, [0.03, 0.02],
    ),
    "the first one with a result": (
        {0.03: BEST, 0.1: [None] * 5}, {},
        "Only learning rate 0.03 has a mean so far; the other has none. Of 10 jobs, 5 have no result yet.",
        False, [0.03],
    ),
    "a race within its tolerance": (
        {0.02: CLOSE, 0.03: BEST}, {**RACE, "within": 0.000765},
        "Use learning rate 0.03: no other is better by more than 0.0765 points, within the 0.0765 points asked for. "
        "0.02 is not distinguishable from it: the difference is 0.02 ± 0.10 points.", True, [0.03, 0.02],
    ),
    "a race whose tolerance has more digits": (
        {0.02: CLOSE, 0.03: BEST}, {**RACE, "within": 0.00076543},
        "Use learning rate 0.03: no other is better by more than 0.076543 points, within the 0.076543 points asked "
        "for. 0.02 is not distinguishable from it: the difference is 0.02 ± 0.10 points.", True, [0.03, 0.02],
    ),
    "a race whose tolerance is not reached": (
        {0.02: CLOSE, 0.03: BEST}, {**RACE, "within": 0.0005},
        "Use learning rate 0.03: no other is better by more than 0.077 points. 0.02 is not distinguishable from it: "
        "the difference is 0.02 ± 0.10 points.", False, [0.03, 0.02],
    ),
    # Without the answers, nobody knows what a step is: it may be the least difference, or all that there is.
    "no spread": (
        {0.02: [0.5] * 5, 0.03: [0.6] * 5}, {},
        "Use learning rate 0.03: no other is better. 0.02 is not distinguishable from it: the difference is 10.00 ± "
        "10.00 points. No score depends on the seed.", True, [0.03, 0.02],
    ),
    "all equal": (
        {0.02: [0.5] * 5, 0.03: [0.5] * 5}, {},
        "Use learning rate 0.02: no other is better by more than 100 points. 0.03 is not distinguishable from it: the "
        "difference is 0.00 ± 100.00 points. No score depends on the seed.", False, [0.02, 0.03],
    ),
    "the first one by seeds that the other lacks": (
        {0.02: MORE, 0.03: AHEAD}, {},
        "Use learning rate 0.02: no other is better by more than 2.2 points. 0.03 is as good or better: the difference "
        "is -2.02 points, between -2.12 points and 0 points. Of 20 jobs, 5 failed.", False, [0.02, 0.03],
    ),
    "the first one by seeds that two others lack": (
        {0.02: MORE, 0.03: AHEAD, 0.04: AHEAD}, {},
        "Use learning rate 0.02: no other is better by more than 2.2 points. At least one of 0.03 and 0.04 is better. "
        "Of 30 jobs, 10 failed.", False, [0.02, 0.03, 0.04],
    ),
    "the first one by seeds that two others lack, who may be worse": (
        {0.02: MORE, **{rate: [0.8, 0.97 + rate, 0.9, 0.91, 0.9, *["failed"] * 5] for rate in (0.03, 0.04)}}, {},
        "Use learning rate 0.02: no other is better by more than 8.9 points. 0.04 and 0.03 are not distinguishable "
        "from it: the differences are -0.10 and 0.10 points. Of 30 jobs, 10 failed.", False, [0.02, 0.04, 0.03],
    ),
    "as uncertain as can be": (
        {0.02: [1.0, 0.0, 0.9], 0.03: [0.0, 1.0, 0.1]}, {},
        "Use learning rate 0.02: no other is better by more than 100 points. 0.03 is not distinguishable from it: the "
        "difference is 26.7 points, between -100 points and 100 points.", False, [0.02, 0.03],
    ),
    "all equal to the sample": (
        {0.02: [right(10_290)] * 5, 0.03: [right(10_290)] * 5}, {"within": 0.00009},
        "Use learning rate 0.02: no other is better by more than 0.0096 points. 0.03 is not distinguishable from it: "
        "the difference is 0.0000 ± 0.0096 points. No score depends on the seed.", False, [0.02, 0.03],
    ),
    "apart by one sample": (
        {0.02: [right(10_290)] * 5, 0.03: [right(10_289)] * 5}, {},
        "Use learning rate 0.02: no other is better. 0.03 is not distinguishable from it: the difference is 0.0095 ± "
        "0.0096 points. No score depends on the seed.", True, [0.02, 0.03],
    ),
    "apart by two samples": (
        {0.02: [right(10_290)] * 5, 0.03: [right(10_288)] * 5}, {},
        "Use learning rate 0.02: it is the best of 2. No score depends on the seed.", True, [0.02],
    ),
    # Better when it trains, and ranked below for what diverged: the reader weighs it.
    "unreliable": (
        {0.03: [*BEST, "diverged"], 0.01: [*WORST, 0.96]}, {},
        "Use learning rate 0.01: it is the best that trains reliably. 0.03 may be better, with 97.40 %, but 1 of 6 "
        "jobs diverged.", True, [0.01, 0.03],
    ),
    "unreliable beside a rival": (
        {0.03: [*BEST, "diverged"], 0.01: [*WORST, 0.96], 0.02: SPREAD}, {},
        "Use learning rate 0.01: no other that trains as reliably is better by more than 0.061 points. 0.02 is not "
        "distinguishable from it: the difference is 0.07 ± 0.13 points. 0.03 may be better, with 97.40 %, but 1 of 6 "
        "jobs diverged.", False, [0.01, 0.02, 0.03],
    ),
    # Shown to be better than 0.02, which 0.01 is not.
    "unreliable, which rules out nobody": (
        {0.03: [*[0.86, 0.94] * 5, 0.86, "diverged"], 0.01: [0.88, 0.80] * 6, 0.02: [0.76, 0.84] * 6}, {},
        "Use learning rate 0.01: no other that trains as reliably is better by more than 1.4 points. 0.02 is not "
        "distinguishable from it: the difference is 4.00 ± 5.31 points. 0.03 may be better, with 89.64 %, but 1 of 12 "
        "jobs diverged.", False, [0.01, 0.03, 0.02],
    ),
    "as unreliable as the leader": (
        {0.03: [*BEST, "diverged"], 0.02: [*CLOSE, "diverged"], 0.01: [*[0.4] * 5, "failed"], 1: ["diverged"] * 6}, {},
        "Use learning rate 0.03: no other is better by more than 0.052 points. 0.02 is not distinguishable from it: "
        "the difference is 0.02 ± 0.07 points. 0.01 is ruled out. Of 0.03, 1 of 6 jobs diverged. Of 1, 6 of 6 "
        "jobs diverged. Of 24 jobs, 1 failed.", False, [0.03, 0.02],
    ),
    "all of the others diverged": (
        {0.03: BEST, 0.1: ["diverged"] * 5}, {},
        "Only learning rate 0.03 has a mean; the other has none.", True, [0.03],
    ),
    "mostly diverged": (
        {0.03: BEST[:3], 0.1: [0.99, "diverged", "diverged"]}, {},
        "Only learning rate 0.03 can be recommended; of the other, more jobs diverged than trained.", True, [0.03],
    ),
    "mostly diverged, and failed": (
        {0.03: BEST[:3], 0.1: [0.99, "diverged", "diverged"], 0.2: ["failed"] * 3}, {},
        "Only learning rate 0.03 can be recommended; the 2 others have no mean, or more jobs diverged than trained. "
        "Of 9 jobs, 3 failed.", True, [0.03],
    ),
    "one seed each": (
        {0.02: [0.97], 0.03: [0.5], 0.04: [0.98]}, {},
        "Undecided, seeds are too few to compare: learning rate 0.04 has the best mean, 98.00 %; train at least 5 "
        "seeds each.", False, [0.04, 0.02, 0.03],
    ),
    "one seed each, so far": (
        {0.02: [0.97, None], 0.03: [0.5, None]}, {},
        "So far, seeds are too few to compare: learning rate 0.02 has the best mean, 97.00 %; train at least 5 "
        "seeds each. Of 4 jobs, 2 have no result yet.", False, [0.02, 0.03],
    ),
    "no result": ({0.1: [None], 0.2: [None]}, {}, "No job has a result. Of 2 jobs, 2 have no result yet.", False, []),
    "lost": (
        {0.1: ["failed"], 0.2: ["cancelled"]}, {},
        "No job has a result. Of 2 jobs, 1 failed and 1 was cancelled.", False, [],
    ),
    "all diverged": (
        {0.1: ["diverged"] * 2, 0.2: ["diverged"] * 2}, {},
        "All jobs that have a result diverged: no configuration can be recommended.", False, [],
    ),
    "all mostly diverged": (
        {0.1: ["diverged"] * 2 + [0.9], 0.2: ["diverged"] * 3}, {},
        "No configuration can be recommended: of those with a result, more jobs diverged than trained.", False, [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_the_words_agree_with_the_fields(case: str) -> None:
    outcomes, judged, sentence, decided, contenders = VERDICTS[case]
    board = board_of(outcomes, **judged)
    verdict = board.verdict
    assert (verdict.sentence, verdict.decided) == (sentence, decided)
    assert [each["learning_rate"] for each in verdict.contenders] == contenders
    is_best = decided or ("the best of" in sentence and "with a result" not in sentence)
    table = by_configuration(board, board.standings)
    assert ("yes" in str(table.rows)) == (is_best and len(contenders) == 1 < len(outcomes))
    assert verdict.leader == (verdict.contenders[0] if contenders else None)
    assert [each.options for each in verdict.rivals] == verdict.contenders[1:]
    waits = any(outcome in (None, "cancelled") for outcomes in outcomes.values() for outcome in outcomes)
    assert verdict.state == ("so far" if waits or "running" in judged else "race" if judged.get("history") else "final")
    assert verdict.method == ("t" if verdict.state == "final" else "group-sequential t")
    assert (verdict.within, verdict.level) == (judged.get("within"), 0.95)
    assert (verdict.regret is None) == (len(contenders) < 1 or "Only" in sentence or "too few" in sentence)
    # The table's bound is that of the sentence.
    for bound in re.findall(r"better by more than (\S+) points", sentence):
        assert table.rows[0][table.headings.index("regret")] == bound
    consistent(verdict)


def consistent(verdict: Verdict) -> None:
    """Check what holds of every verdict."""
    if verdict.regret is not None:
        assert verdict.decided <= (verdict.regret <= (verdict.within or 0))
    for rival in verdict.rivals:
        if rival.difference is not None:
            low, high = known(rival.low), known(rival.high)
            assert -known(verdict.regret) == low <= 0 <= high
            assert low <= rival.difference <= high
    if verdict.advice is not None:
        assert not verdict.decided
        assert 0 < verdict.advice.within < known(verdict.regret)
        assert verdict.within in (None, verdict.advice.within)
        assert verdict.advice.jobs > 0


@pytest.mark.parametrize("trial", range(50))
def test_every_verdict_is_consistent(trial: int) -> None:
    luck = random.Random(trial)
    k, n = luck.choice((2, 3, 6)), luck.choice((2, 3, 5, 10))
    scores = {
        0.01 * (i + 1): [0.9 + 0.002 * i * luck.random() + 0.002 * luck.random() for _ in range(n)] for i in range(k)
    }
    board = board_of(scores, history=luck.choice(("fixed", "extended", "race")), within=luck.choice((None, 0.001)))
    consistent(board.verdict)
    first, *others = board.standings
    # What the sentence says is what the marks say: the first one is always a contender.
    assert first.contender
    assert board.verdict.regret == first.regret
    assert len(board.verdict.rivals) == sum(each.contender for each in others)


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ([0.5], "its mean is 50.00 % over 1 seed."),
        ([0.5, None], "its mean is 50.00 % over 1 seed. Of 2 jobs, 1 has no result yet."),
        ([0.4, 0.5, 0.6], "its mean is 50.00 % (95 % interval 25.16 to 74.84 %) over 3 seeds."),
        ([0.8, 0.9, 1.0], "its mean is 90.00 % (95 % interval 65.16 to 100.00 %) over 3 seeds."),
    ],
)
def test_one_configuration_is_nothing_to_choose(scores: list[Outcome], sentence: str) -> None:
    verdict = board_of({0.1: scores}).verdict
    assert verdict.sentence == f"There is one configuration, so nothing to choose: {sentence}"
    assert (verdict.leader, verdict.contenders, verdict.regret) == ({}, [{}], None)
    assert verdict.decided == (None not in scores)


def test_the_choice_of_the_leader_widens_its_interval_at_the_worse_end_only(monkeypatch: pytest.MonkeyPatch) -> None:
    many: dict[float, list[Outcome]] = {0.03: BEST, **{1 + each / 10: WORST for each in range(19)}}
    alone, chosen = board_of({0.03: BEST}).standings[0], board_of(many).verdict
    assert known(chosen.leader_low) < known(alone.low)
    assert known(chosen.leader_high) == pytest.approx(known(alone.high))
    # So it is on new samples.
    bits: dict[float, list[Outcome]] = {0.03: [right(each, 10) for each in (8, 9, 7)]}
    alone, first = (board_of(each).standings[0] for each in (bits, {**bits, 0.1: [right(5, 10)] * 3}))
    assert known(first.low_new) < known(alone.low_new)
    assert first.high_new == alone.high_new
    # Where lower is better, the worse end is the upper one.
    monkeypatch.setattr(type(next(iter(jobs_of(1, 0.1).values())).trained_by), "metric", ERROR)
    alone, chosen = board_of({0.03: BEST}).standings[0], board_of({**many, 0.03: [each / 2 for each in BEST]}).verdict
    assert known(chosen.leader_low) == pytest.approx(known(alone.low) / 2)
    assert known(chosen.leader_high) > known(alone.high) / 2


def test_no_interval_of_shares_is_narrower_than_a_sample_or_beyond_what_is_possible() -> None:
    first, second = board_of({0.02: [right(1000, 1000)] * 5, 0.03: [right(997, 1000)] * 5}).standings
    assert (first.low, first.high) == (0.999, 1)
    assert (second.low, second.high) == pytest.approx((0.996, 0.998))
    # Nor does a race to less than a sample have an end.
    scores = {0.02: (90, 91, 90, 92, 91), 0.03: (91, 90, 91, 91, 90)}
    verdict = board_of({rate: [right(each, 100) for each in found] for rate, found in scores.items()}).verdict
    assert (known(verdict.regret) < 0.01, verdict.advice) == (True, None)


@pytest.mark.parametrize("lacks", [None, "cancelled"])
def test_results_after_a_missing_one_count_when_it_has_come(lacks: Outcome) -> None:
    # Given a sweep that runs, whose third job is late, or was cancelled and may be resumed
    late = board_of({0.02: [*CLOSE, 0.97, 0.97, 0.97], 0.03: [*BEST[:2], lacks, *BEST[3:], 0.97, 0.97, 0.97]}).verdict
    assert late.sentence.startswith("So far, seeds are too few to compare: ")
    assert "train at least" not in late.sentence
    # What has failed does not come.
    few = board_of({0.02: [*CLOSE, "failed"], 0.03: [*BEST[:2], "failed", "failed", "failed", lacks]}).verdict
    assert "train at least 5 seeds each" in few.sentence
    # Then the comparisons are those of the first look, and remain so until the next one.
    first = board_of({0.02: [*CLOSE, 0.9, 0.9], 0.03: [*BEST, lacks, 0.99]}).verdict
    again = board_of({0.02: CLOSE, 0.03: BEST}, **RACE).verdict
    assert first.rivals == again.rivals


def test_numbers_of_seeds_may_differ() -> None:
    board = board_of(
        {0.03: BEST, 0.01: [WORST[0], "failed", WORST[2], "failed", "failed"], 0.1: [0.9, *["failed"] * 4]}
    )
    assert [each.n for each in board.standings] == [5, 2, 1]
    # One seed is never enough to be ruled out.
    assert board.standings[2].contender
    assert not board.verdict.decided


def test_several_axes_are_named_with_each_other() -> None:
    grid = {"learning_rate": (0.1, 0.01), "limit": (None, 500)}
    jobs = SweepSpecification(seeds=(0, 1, 2, 3, 4), options={"epochs": 2}, grid=grid).jobs_by_key(MNIST_DIGEST)
    rows = {}
    for key, job in jobs.items():
        scores = (BEST if job.options.limit is None else CLOSE) if job.options.learning_rate == 0.1 else WORST
        rows[key] = trained(job, scores[job.seed])

    verdict = leaderboard(jobs, rows, "bundled").verdict

    assert verdict.sentence.startswith("Use learning rate 0.1 with limit all samples: no other is better by more than ")
    assert (
        ". learning rate 0.1 with limit 500 is not distinguishable from it: the difference is 0.02 ± 0."
        in verdict.sentence
    )
    assert verdict.sentence.endswith(" points. 2 others are ruled out.")
    assert verdict.leader == {"learning_rate": 0.1, "limit": None}


@pytest.mark.parametrize(
    ("metric", "difference", "margin", "text"),
    [
        (SHARE, 0.002, 0.0012, "0.20 ± 0.12 points"),
        (SHARE, 0.002, 0.00001, "0.2000 ± 0.0010 points"),
        (SHARE, 0.000149, 0.000147, "0.0149 ± 0.0147 points"),
        (SHARE, 0.2, 0.12, "20.00 ± 12.00 points"),
        (SHARE, 0.01, 0.0, "1 ± 0 points"),
        (ERROR, 0.00031551589, 0.0, "0.00031551589 ± 0"),
        (SHARE, -1e-17, 0.12, "0.00 ± 12.00 points"),
        (ERROR, 12.5, 3.25, "12.5 ± 3.3"),
        (ERROR, 0.01234, 0.00123, "0.0123 ± 0.0013"),
        (ERROR, 123456.0, 4321.0, "1.235e+05 ± 4.4e+03"),
        (ERROR, 12345582.0, 416.0, "1.234558e+07 ± 4.2e+02"),
        (ERROR, 0.00123456849, 1.9e-9, "0.0012345685 ± 1.9e-09"),
        (ERROR, 1e-20, 1e-21, "1e-20 ± 1e-21"),
        # The larger one of the two is shown to be.
        (ERROR, 1539.0, 1526.0, "1.54e+03 ± 1.53e+03"),
        (ERROR, -1539.0, 1526.0, "-1.54e+03 ± 1.53e+03"),
        (ERROR, 1526.0, 1526.4, "1.5e+03 ± 1.6e+03"),
        (ERROR, 5964784.84, 5958801.12, "5.965e+06 ± 5.959e+06"),
        (ERROR, 2.2449e-9, 2.2442e-9, "2.2449e-09 ± 2.2442e-09"),
        (ERROR, 2.7529e-6, 2.7517e-6, "2.753e-06 ± 2.752e-06"),
        (ERROR, 1.1e-310, 1e-310, "1.1e-310 ± 1e-310"),
        (ERROR, 1e-165, 3.0628e-165, "1e-165 ± 3.1e-165"),
        # Rounded up, the margin has another digit; and a difference may be far below it.
        (ERROR, 5.0, 9.96e8, "5 ± 1e+09"),
        (SHARE, 0.2, 0.0007, "20.00 ± 0.07 points"),
    ],
)
def test_a_difference_is_shown_to_two_digits_of_its_margin(
    metric: Metric, difference: float, margin: float, text: str
) -> None:
    assert by_margin(metric, difference, margin) == text


@pytest.mark.parametrize(
    ("metric", "value", "bound", "text"),
    [
        (SHARE, 0.01, "1 point", "1 point"),
        (SHARE, 0.001234, "0.13 points", "0.123 points"),
        (SHARE, 0.0, "0 points", "0 points"),
        (SHARE, 0.07, "7 points", "7 points"),
        (ERROR, 1e-310, "1e-310", "1e-310"),
        (ERROR, 0.0301, "0.031", "0.0301"),
        (ERROR, 1234.5, "1.3e+03", "1.23e+03"),
    ],
)
def test_an_upper_bound_is_rounded_up(metric: Metric, value: float, bound: str, text: str) -> None:
    assert (at_most(metric, value), amount(metric, value)) == (bound, text)


def test_every_sentence_of_a_verdict_is_in_the_document_with_what_it_promises() -> None:
    document = (ROOT / "docs" / "explanation" / "statistics.md").read_text()
    table = document.partition("## What a verdict promises")[2].partition("\n## ")[0]
    promised = re.findall(r"^\| `(.+?)` \| .+ \|$", table, re.MULTILINE)
    patterns = {each: re.compile(re.escape(each).replace("…", ".+") + r"\.?") for each in promised}
    used = set()
    for outcomes, judged, *_ in [*VERDICTS.values(), ({0.03: BEST}, {})]:
        sentence = board_of(outcomes, **judged).verdict.sentence
        for part in re.split(r"(?<=\.) (?=[A-Z0-9])", sentence):
            found = {each for each, pattern in patterns.items() if pattern.fullmatch(part)}
            assert found, part
            used |= found
    assert used == set(promised)
