"""`check_trainer` names the promise that a trainer breaks, and is content with those that break none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from nn.errors import InvalidInputError
from tests.support.paths import ROOT
from tests.trainers import broken, early
from worker.trainers import TrainerCheckError, check_trainer, checks

EXAMPLE = ROOT / "examples" / "own_trainer"
#: Found by looking at the trainer in this process.
CAUGHT = [
    (broken.BadName, "well_formed", "name"),
    (broken.NoVersion, "well_formed", "version is 0"),
    (broken.Undescribed, "options_are_described", "the option momentum has no description"),
    (broken.AnyLength, "defaults_can_be_typed", "the default of the option widths, (), cannot be typed"),
    (broken.NotJson, "options_survive_json", "not JSON"),
    (broken.Thawed, "options_are_frozen", "the option rate can be changed"),
    (broken.AnyOption, "unknown_options_are_refused", 'extra="forbid"'),
    (broken.Infinite, "bad_options_are_refused", "the option scale accepts nan"),
    (broken.NoEpochs, "bad_options_are_refused", "the option epochs accepts 0"),
    (broken.LooksUp, "bad_options_are_refused", "raised TypeError"),
    (broken.Overflows, "any_options_are_read_or_refused", "raised OverflowError"),
    (broken.RandomDigest, "data_has_a_digest", "from the content only"),
    (broken.ShortDigest, "data_has_a_digest", "64 digits"),
    (broken.CrashesWithoutData, "missing_data_is_refused", "FileNotFoundError"),
    (broken.Raises, "trains", "ZeroDivisionError: no points"),
    (broken.Exits, "trains", "SystemExit: 3"),
    (broken.StopsEarly, "each_epoch_is_reported", "called 1 times"),
    (broken.NotANumber, "metrics_are_finite_numbers", "return Trained(problem=...)"),
    (broken.Silent, "each_epoch_is_reported", "called 0 times"),
    (broken.NoNumber, "metrics_are_finite_numbers", "float(...)"),
    (broken.Percent, "metrics_are_finite_numbers", "a share is from 0 to 1"),
    (broken.UnlistedMetric, "metrics_are_finite_numbers", "['loss']"),
    (broken.LongProblem, "a_problem_is_one_sentence", "one line"),
    (broken.OtherCorrect, "correct_samples_agree_with_the_metric", "of correct is true"),
    (broken.NoBools, "correct_samples_agree_with_the_metric", "correct.tolist()"),
    (broken.Empty, "sizes_are_bounded", "is empty"),
    (broken.Huge, "sizes_are_bounded", "max_bytes returns 10"),
    (broken.TextArtifact, "sizes_are_bounded", "return bytes"),
    (broken.Pickled, "artifact_is_no_pickle", "safetensors"),
    (broken.RefusesItsOwn, "artifact_is_accepted", "it is not safetensors"),
    (broken.NoTest, "the_test_split_is_evaluated", "NotImplementedError"),
    (broken.ShortTest, "the_test_split_is_evaluated", "test gives 9 answers; return a list of 10 bool"),
    (broken.OtherTest, "the_test_split_is_evaluated", "1.0 of the test split is right; the metric on it is 0.5"),
    (broken.Unseeded, "same_bits_twice", "metrics and artifact"),
    (broken.Remembers, "same_bits_twice", "artifact"),
    (broken.NormalizesInPlace, "data_and_options_stay", "training changes data.X"),
    (broken.IgnoresSeed, "seeds_matter", "the seeds 0, 1"),
    (broken.Swallows, "exceptions_of_on_epoch_pass", "went on"),
    (broken.WrapsExceptions, "exceptions_of_on_epoch_pass", "RuntimeError"),
    (broken.ForgetsMomentum, "resuming_gives_the_same_bits", "after epoch 1 differs in"),
    (broken.RoundsItsArtifact, "longer_jobs_go_on_to_the_same_bits", "from the artifact of 2 epochs differs in"),
    (broken.CrashesOnGarbage, "damaged_checkpoints_are_refused", "raise WeightsError"),
    (broken.TakesAnything, "damaged_checkpoints_are_refused", "is accepted"),
]
#: Found in another process only.
CAUGHT_ELSEWHERE = [
    (early.ImportsEarly, "imports_are_late", "imports numpy"),
    (broken.HashOrder, "same_bits_in_another_process", "hash()"),
    (broken.StateInMemory, "resuming_in_another_process_gives_the_same_bits", "memory of its process"),
    (broken.Prints, "nothing_is_printed", "'epoch"),
    (broken.SeedsGlobally, "surroundings_stay", "the state of numpy.random"),
    (broken.SeedsRandom, "surroundings_stay", "the state of random"),
    (broken.LeavesAThread, "nothing_is_left_running", "threads"),
    (broken.Forks, "nothing_is_left_running", "child process"),
]


def caught(trainer: Any, **arguments: Any) -> TrainerCheckError:
    with pytest.raises(TrainerCheckError) as error:
        check_trainer(trainer, **arguments)
    return error.value


@pytest.mark.parametrize(("trainer", "check", "said"), CAUGHT, ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_trainer_is_caught_by_the_name_of_its_check(trainer: Any, check: str, said: str) -> None:
    error = caught(trainer)

    assert error.check == check
    assert said in error.problem
    assert str(error) == f"{check}: {error.problem}"
    assert "\n" not in str(error)


@pytest.mark.process
@pytest.mark.parametrize(
    ("trainer", "check", "said"), CAUGHT_ELSEWHERE, ids=lambda value: getattr(value, "__name__", None)
)
def test_what_only_another_process_shows_is_caught_there(trainer: Any, check: str, said: str) -> None:
    error = caught(trainer)

    assert error.check == check
    assert said in error.problem


@pytest.mark.parametrize("trainer", [broken.DigestOfTheShape, broken.DigestOfThePath])
def test_the_digest_of_a_file_is_that_of_its_content(trainer: Any, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("1,2\n3,4\n-5,1\n")

    assert caught(trainer, data=str(table)).check == "changed_data_has_another_digest"
    check_trainer(broken.Honest, data=str(table), only=["changed_data_has_another_digest"])


def test_a_trainer_without_a_class_of_its_own_module_or_with_arguments() -> None:
    class Local(broken.Honest):
        pass

    assert caught(Local).check == "imports_are_late"
    assert "at the top of a module" in caught(Local).problem
    assert "made without arguments" in caught(broken.NeedsArguments(3)).problem


@pytest.mark.process
def test_an_honest_trainer_passes() -> None:
    check_trainer(broken.Honest)
    check_trainer(broken.Honest(), options=[{"epochs": 1}, {"rate": 5.0, "penalty": 0.5}], seeds=(7,))


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from seedsweep_softmax import SoftmaxTrainer

    yield SoftmaxTrainer
    sys.modules.pop("seedsweep_softmax")


@pytest.mark.process
def test_the_example_passes(example: Any) -> None:
    check_trainer(example, options=[{"epochs": 4}, {"learning_rate": 1.0, "batch_size": 7, "epochs": 2}])


def test_every_check_has_a_name_a_description_and_a_trainer_that_it_catches() -> None:
    named = {check for _, check, _ in (*CAUGHT, *CAUGHT_ELSEWHERE)}

    assert set(checks()) - named == {"changed_data_has_another_digest"}
    assert all(text.endswith(".") and "\n" not in text for text in checks().values())


@pytest.mark.parametrize(
    ("arguments", "field"), [({"options": []}, "options"), ({"seeds": []}, "seeds"), ({"only": ["no_such"]}, "only")]
)
def test_bad_arguments(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        check_trainer(broken.Honest, **arguments)
    assert error.value.field == field
