"""The verdict: what it says for every kind of sweep, and that its words agree with its fields."""

from __future__ import annotations

import random
import re

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard.judgement import by_margin
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.boards import Outcome, board_of, leaderboard, trained
from tests.support.known import known
from worker.trainers.protocol import Metric

BEST = [0.9740, 0.9736, 0.9745, 0.9738, 0.9741]
CLOSE = [0.9737, 0.9739, 0.9735, 0.9742, 0.9738]
WORSE = [0.9719, 0.9711, 0.9737, 0.9713, 0.9714]
WORST = [0.96, 0.961, 0.959, 0.96, 0.96]
SHARE = Metric(name="accuracy", is_share=True)
ERROR = Metric(name="error", higher_is_better=False)


def rates(values: object) -> list[float]:
    return [each["learning_rate"] for each in values]  # type: ignore[attr-defined]


def test_one_configuration_alone_can_be_the_best() -> None:
    verdict = board_of({0.01: WORSE, 0.03: BEST}).verdict

    assert re.fullmatch(r"Use learning rate 0\.03: it beats 0\.01 by 0\.21 ± 0\.07 points\.", verdict.sentence)
    assert (verdict.decided, verdict.leader, verdict.seeds_to_decide) == (True, {"learning_rate": 0.03}, None)
    assert rates(verdict.contenders) == [0.03]
    assert known(verdict.beaten).options == {"learning_rate": 0.01}
    assert known(verdict.beaten).difference == pytest.approx(sum(BEST) / 5 - sum(WORSE) / 5)


def test_one_is_beaten_and_one_cannot_be_told() -> None:
    verdict = board_of({0.01: WORST, 0.02: CLOSE, 0.03: BEST}).verdict

    assert re.fullmatch(
        r"Use learning rate 0\.03: it beats 0\.01 by 1\.40 ± 0\.\d\d points\. "
        r"0\.02 cannot be told from it; about \d+ more seeds each would probably decide\.",
        verdict.sentence,
    )
    assert (verdict.decided, rates(verdict.contenders)) == (False, [0.03, 0.02])
    assert f"about {known(verdict.seeds_to_decide)} more" in verdict.sentence


LUCK = random.Random(1)
#: How jobs ended, and a pattern of the sentence.
SENTENCES: dict[str, tuple[dict[float, list[Outcome]], str]] = {
    "others that are beaten are counted": (
        {0.01: WORSE, 0.03: BEST, 0.003: WORST, 1e-5: [0.1] * 5},
        r"Use learning rate 0\.03: it beats 0\.01 by 0\.21 ± 0\.\d\d points, and 2 others\.",
    ),
    "two cannot be told apart": (
        {0.02: CLOSE, 0.03: BEST},
        r"Undecided: learning rate 0\.03 ranks first with a mean of 97\.40 %, but 0\.02 cannot be told from it; about "
        r"\d+ more seeds each would probably decide\.",
    ),
    "three cannot be told apart": (
        {0.02: CLOSE, 0.03: BEST, 0.04: CLOSE[::-1]},
        r"Undecided: .*, but 0\.02 and 0\.04 cannot be told from it; about \d+ more seeds each would probably decide\.",
    ),
    "of many, their number is said": (
        {0.01 * i: [0.97 + 0.01 * LUCK.random() for _ in range(5)] for i in range(1, 9)},
        r"Undecided: .*, but 7 others cannot be told from it; about \d+ more seeds each would probably decide\.",
    ),
    "equal means need no further seeds to be equal": (
        {0.02: BEST, 0.03: BEST},
        r"Undecided: learning rate 0\.02 ranks first with a mean of 97\.40 %, but 0\.03 cannot be told from it\.",
    ),
    "a hopeless number of seeds is no advice": (
        {0.02: CLOSE, 0.03: [score + 1e-6 for score in CLOSE[::-1]]},
        r"Undecided: .* 0\.02 cannot be told from it, nor would 10,000 more seeds each tell them apart\.",
    ),
    "one seed each decides nothing": (
        {0.02: [0.97], 0.03: [0.5], 0.04: [0.98]},
        r"Undecided: learning rate 0\.04 ranks first with a mean of 98\.00 %, but one seed each cannot tell "
        r"configurations apart; train at least 5\.",
    ),
    "a sweep that runs": (
        {0.03: BEST, 0.01: WORST, 0.1: [None] * 5},
        r"Use learning rate 0\.03: it beats 0\.01 by 1\.40 ± .*\. Of 15 jobs, 5 have no result yet\.",
    ),
    "the first one with a result": (
        {0.03: BEST, 0.1: [None] * 5},
        r"Only learning rate 0\.03 has a mean so far; the 1 other has none\. .*",
    ),
    "one that mostly diverged": (
        {0.03: BEST[:3], 0.1: [0.99, "diverged", "diverged"]},
        r"Only learning rate 0\.03 can be recommended; the 1 other has no mean, or most of its jobs diverged\.",
    ),
    "one that mostly diverged and one that failed": (
        {0.03: BEST[:3], 0.1: [0.99, "diverged", "diverged"], 0.2: ["failed"] * 3},
        r"Only learning rate 0\.03 can be recommended; the 2 others have no mean, or most of their jobs diverged\. .*",
    ),
}
#: The cases in which nothing is left to wait for and to train.
DECIDED = (
    "others that are beaten are counted",
    "one that mostly diverged",
    "one that mostly diverged and one that failed",
)


@pytest.mark.parametrize("case", SENTENCES)
def test_the_sentence_of_several_configurations(case: str) -> None:
    outcomes, pattern = SENTENCES[case]
    verdict = board_of(outcomes).verdict
    assert re.fullmatch(pattern, verdict.sentence)
    assert verdict.decided == (case in DECIDED)
    if "Undecided" in pattern:
        assert (verdict.beaten, known(verdict.leader)) == (None, verdict.contenders[0])
        assert len(verdict.contenders) == len(outcomes)
    assert (verdict.seeds_to_decide is None) == ("more seeds each" not in pattern)


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ([0.5], "its mean is 50.00 % over 1 seed."),
        ([0.5, None], "its mean is 50.00 % over 1 seed. Of 2 jobs, 1 has no result yet."),
        ([0.4, 0.5, 0.6], "its mean is 50.00 % (95 % interval 25.16 to 74.84 %) over 3 seeds."),
    ],
)
def test_one_configuration_is_nothing_to_choose(scores: list[Outcome], sentence: str) -> None:
    verdict = board_of({0.1: scores}).verdict
    assert verdict.sentence == f"There is one configuration, so nothing to choose: {sentence}"
    assert (verdict.decided, verdict.leader, verdict.contenders) == (True, {}, [{}])


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        ({0.1: [None], 0.2: [None]}, "No job has a result. Of 2 jobs, 2 have no result yet."),
        ({0.1: ["failed"], 0.2: ["cancelled"]}, "No job has a result. Of 2 jobs, 1 failed and 1 was cancelled."),
        (
            {0.1: ["diverged"] * 2, 0.2: ["diverged"] * 2},
            "All jobs that have a result diverged: no configuration can be recommended.",
        ),
        (
            {0.1: ["diverged"] * 2 + [0.9], 0.2: ["diverged"] * 3},
            "Most jobs of each configuration diverged: none can be recommended.",
        ),
    ],
)
def test_nothing_can_be_recommended(outcomes: dict[float, list[Outcome]], sentence: str) -> None:
    board = board_of(outcomes)
    assert board.verdict.sentence == sentence
    assert (board.verdict.leader, board.verdict.contenders, board.verdict.decided) == (None, [], False)
    assert not board.usable


def test_what_diverged_failed_or_is_missing_is_said() -> None:
    # Given the best mean in a configuration of which a job diverged, in a sweep that is not over
    verdict = board_of(
        {0.03: [*BEST, "diverged"], 0.01: [0.5, 0.6, 0.5, 0.6, 0.5, None], 0.1: [*[0.4] * 5, "failed"]}
    ).verdict
    assert "Use learning rate 0.03: it beats 0.01 by 43.40 ± " in verdict.sentence
    assert ". Of 0.03, 1 of 6 jobs diverged. " in verdict.sentence
    assert verdict.sentence.endswith("Of 18 jobs, 1 has no result yet and 1 failed.")

    # The same of one that cannot be told from the first.
    verdict = board_of({0.03: [*BEST, 0.9741], 0.02: [*CLOSE, "diverged"]}).verdict
    assert "0.02 (of which 1 of 6 jobs diverged) cannot be told from it" in verdict.sentence

    # One that is better where it trains, and ranks below for what diverged, is for the reader to weigh.
    verdict = board_of({0.03: [*BEST, "diverged"], 0.01: [*WORST, 0.96]}).verdict
    assert verdict.sentence == (
        "Undecided: learning rate 0.01 ranks first with a mean of 96.00 %. 0.03 has a better mean, 97.40 %, but 1 of 6 "
        "jobs diverged."
    )
    assert (verdict.decided, rates(verdict.contenders), verdict.seeds_to_decide) == (False, [0.01, 0.03], None)


def test_numbers_of_seeds_may_differ() -> None:
    board = board_of({0.03: BEST, 0.01: [WORST[0], None, WORST[2], None, None], 0.1: [0.9, None, None, None, None]})
    first, second, third = board.standings
    assert (first.n, second.n, third.n) == (5, 2, 1)
    # One seed is never enough to be dropped.
    assert (third.contender, third.rank_low, third.rank_high) == (True, 1, 3)
    assert not board.verdict.decided


def test_several_axes_are_named_by_words_that_pick_them() -> None:
    grid = {"learning_rate": (0.1, 0.01), "limit": (None, 500)}
    jobs = SweepSpecification(seeds=(0, 1, 2, 3, 4), options={"epochs": 2}, grid=grid).jobs_by_key(MNIST_DIGEST)
    rows = {}
    for key, job in jobs.items():
        scores = BEST if job.options.limit is None and job.options.learning_rate == 0.1 else WORST
        rows[key] = trained(job, scores[job.seed])

    verdict = leaderboard(jobs, rows, "bundled").verdict

    assert verdict.sentence.startswith(
        "Use learning_rate=0.1 limit=none: it beats learning_rate=0.1 limit=500 by 1.40 ± "
    )
    assert verdict.sentence.endswith(", and 2 others.")
    assert verdict.leader == {"learning_rate": 0.1, "limit": None}


def test_a_difference_that_is_said_is_larger_than_its_margin() -> None:
    luck = random.Random(7)
    for trial in range(50):
        k, n = luck.choice((2, 3, 6)), luck.choice((2, 3, 5, 10))
        scores = {
            0.01 * (i + 1): [0.9 + 0.002 * i * luck.random() + 0.002 * luck.random() for _ in range(n)]
            for i in range(k)
        }
        board = board_of(scores, sequential=trial % 2 == 0)
        beaten, first = board.verdict.beaten, board.standings[0]
        # The first one is always a contender, and what the sentence says is what the marks say.
        assert first.contender
        assert board.verdict.decided == (sum(each.contender for each in board.standings) == 1)
        if beaten is not None:
            assert beaten.difference > beaten.margin >= 0
            assert not next(each for each in board.standings if each.options == beaten.options).contender


@pytest.mark.parametrize(
    ("metric", "difference", "margin", "text"),
    [
        (SHARE, 0.002, 0.0012, "0.20 ± 0.12 points"),
        (SHARE, 0.002, 0.00001, "0.2000 ± 0.0010 points"),
        (SHARE, 0.000149, 0.000147, "0.0149 ± 0.0147 points"),
        (SHARE, 0.2, 0.12, "20.00 ± 12.00 points"),
        (SHARE, 0.01, 0.0, "1.00 ± 0.00 points"),
        (ERROR, 12.5, 3.25, "12.5 ± 3.2"),
        (ERROR, 0.01234, 0.00123, "0.0123 ± 0.0012"),
        (ERROR, 123456.0, 4321.0, "1.23e+05 ± 4.3e+03"),
        (ERROR, 1e-20, 1e-21, "1e-20 ± 1e-21"),
    ],
)
def test_a_difference_is_shown_to_two_digits_of_its_margin(
    metric: Metric, difference: float, margin: float, text: str
) -> None:
    assert by_margin(metric, difference, margin) == text
