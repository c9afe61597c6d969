"""Which weights a sweep's folder keeps, in whatever order its jobs end."""

import itertools
from pathlib import Path

import pytest

from nn.files import digest
from orchestrator.folder.keeping import Keeper
from orchestrator.folder.rows import Row
from tests.support.boards import jobs_of
from tests.support.sweep_folders import made, row

JOBS = jobs_of(4, 0.1, 0.2)
#: The scores of the seeds of both configurations, and the bytes of their weights: two have the same.
SCORES = (0.7, 0.9, 0.8, 0.9)
ROWS = {key: row(job, b"shared" if job.seed > 1 else key.encode(), (SCORES[job.seed],)) for key, job in JOBS.items()}


def kept(folder: Path, policy: str, rows: list[Row]) -> set[str]:
    """Return the hashes of the weights that a folder has after these rows, in this order."""
    swept = made(folder)
    keeper = Keeper(swept, policy)
    for each in rows:
        if keeper.wants(each):
            swept.keep_weights(str(each.weights_sha256), b"shared" if each.seed > 1 else each.job.encode())
            keeper.note(each)
    return {path.stem for path in (swept.path / "weights").iterdir()}


def hashes(*seeds: int) -> set[str]:
    return {str(each.weights_sha256) for each in ROWS.values() if each.seed in seeds}


@pytest.mark.parametrize(
    ("policy", "seeds"),
    [("all", (0, 1, 2, 3)), ("none", ()), ("best:1", (1,)), ("best:2", (1, 3)),
     ("best:3", (1, 2, 3)), ("best:9", (0, 1, 2, 3))],
)  # fmt: skip
def test_the_best_of_each_configuration_are_kept_in_any_order(
    tmp_path: Path, policy: str, seeds: tuple[int, ...]
) -> None:
    for number, order in enumerate(itertools.permutations(range(4))):
        rows = [each for seed in order for each in ROWS.values() if each.seed == seed]
        assert kept(tmp_path / str(number), policy, rows) == hashes(*seeds), order


def test_weights_stay_that_another_configuration_keeps_when_a_session_goes_on(tmp_path: Path) -> None:
    # Given weights that two configurations share: one of them keeps better ones
    one, other = (
        [row(job, content, (score,)) for job, content, score in zip(of, contents, scores, strict=True)]
        for of, contents, scores in (
            (list(JOBS.values())[:4:2], (b"a", b"shared"), (0.9, 0.5)),
            (list(JOBS.values())[1:4:2], (b"b", b"shared"), (0.6, 0.95)),
        )
    )
    for number, rows in enumerate(itertools.permutations([*one, *other])):
        swept = made(tmp_path / str(number))
        for content in (b"a", b"b", b"shared"):
            swept.keep_weights(digest(content), content)
        # When a session finds all of them
        Keeper(swept, "best:1").note(*rows)
        # Then the best of each are there
        assert {path.stem for path in (swept.path / "weights").iterdir()} == {digest(b"a"), digest(b"shared")}


def test_a_job_that_diverged_ranks_last_and_one_without_a_result_has_no_weights(tmp_path: Path) -> None:
    first, second, *_ = (each for each in ROWS.values() if JOBS[each.job].options.learning_rate == 0.1)
    diverged = second.model_copy(update={"status": "diverged"})
    assert kept(tmp_path, "best:1", [diverged, first]) == {first.weights_sha256}
    failed = first.model_copy(update={"status": "failed", "weights_sha256": None, "validation_score": []})
    assert not Keeper(made(tmp_path / "b"), "all").wants(failed)
