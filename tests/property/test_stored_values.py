"""Redis may hold anything where results, reports, attempts and presences are kept: each is a valid value, or none."""

import json
import math
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from rich.console import Console

from nn.errors import DatasetError, SeedsweepError
from orchestrator.cli.shared.progress import LiveProgress
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import Finished, Running
from orchestrator.folder.activity import Activity
from tests.property.hostile import json_values, nearly, patient, texts
from tests.support.cluster import make_job
from tests.support.presences import presence
from tests.support.sweep_folders import unsaved
from worker.errors import JobRefusedError
from worker.job import MAX_SCORE, Attempt, Result
from worker.records.presence import Presence
from worker.records.report import Report, read_report
from worker.settings import Settings
from worker.text import one_line

JOB = make_job()
REPORT = {
    "epoch": 1, "validation_score": [0.5], "seconds": 0.1, "slowest_epoch": 0.1, "at": 1e9,
    "worker": "w", "attempt": 1,
}  # fmt: skip
RESULT = {
    "job": JOB.key, "status": "succeeded", "validation_score": [0.5, 0.6], "others": {"notebook_accuracy": [1.0, 2.0]},
    "epoch_seconds": [0.1, 0.1], "weights_sha256": "0" * 64, "weights_bytes": 1000, "worker": "w", "attempts": 1,
    "started": 1e9, "ended": 1.5e9, "cause": "hung", "epochs_before": 1, "error": None,
    "correct": "AAAAAw==", "environment": "a CPU", "code": "own 1.0", "stopped": None,
}  # fmt: skip
ATTEMPT = {
    "number": 1, "cause": "first run", "worker": "w", "started": 1e9, "epochs_before": 0, "end": "finished",
    "ended": 1.5e9,
}  # fmt: skip
PRESENCE = presence(ahead=-0.5, data="mnist", done=3).model_dump(mode="json")
VALUES: dict[type[BaseModel], dict[str, Any]] = {
    Report: REPORT, Result: RESULT, Attempt: ATTEMPT, Presence: PRESENCE,
}  # fmt: skip
#: No other number that is kept or shown is larger, so that sums and dates of them are finite.
LARGEST = 1e11


def numbers_in(value: Any) -> Iterator[float]:
    """Yield every number in a value of JSON."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from numbers_in(inner)


def as_json(value: Any) -> str:
    # As an attacker writes it: with infinities, numbers of any length, and lone surrogates.
    return json.dumps(value, default=str)


@pytest.fixture(scope="module")
def view() -> Cluster:
    return Cluster(Settings(broker_url="redis://nowhere.invalid/0"))


@pytest.mark.parametrize("model", VALUES)
@patient
@given(st.data())
def test_a_stored_value_has_numbers_within_bounds_or_is_none(model: type[BaseModel], data: st.DataObject) -> None:
    text = as_json(data.draw(nearly(VALUES[model]) | json_values))
    try:
        found = model.model_validate_json(text.encode(errors="surrogatepass"))
    except ValueError:
        return
    stored = json.loads(text)
    kept = json.loads(found.model_dump_json())
    # The only numbers that may be negative: a difference of clocks, and metrics.
    assert abs(kept.pop("ahead", 0.0)) <= LARGEST
    metrics = [*numbers_in(kept.pop("validation_score", [])), *numbers_in(kept.pop("others", {}))]
    assert all(abs(number) <= MAX_SCORE for number in metrics)
    for number in numbers_in(kept):
        assert math.isfinite(number)
        assert 0 <= number <= LARGEST
    # Nothing was converted: no true for a number, and no text, but for the characters that texts must not contain.
    for name, value in json.loads(found.model_dump_json()).items():
        before = stored.get(name, value)
        assert value in (before, one_line(before) if isinstance(before, str) else before)
        assert isinstance(stored.get(name, value), bool) == isinstance(value, bool)


@patient
@given(
    st.sampled_from(["SUCCESS", "PROGRESS", "STARTED", "FAILURE", "REVOKED", "RETRY", "GIVEN_BACK", "PENDING"]),
    nearly(RESULT) | nearly(REPORT) | json_values | st.fixed_dictionaries(
        {"exc_type": texts | st.sampled_from(["KeyError", "OSError", "UnicodeDecodeError", "SystemExit"]),
         "exc_message": json_values, "exc_module": texts | st.sampled_from(["builtins", "nn.errors", "worker.errors"])}
    ),
)  # fmt: skip
def test_a_stored_state_is_a_state_or_none(view: Cluster, status: str, value: Any) -> None:
    stored = as_json({"status": status, "result": value, "traceback": None, "children": []})
    state = view.results._parse(JOB.key, stored.encode(errors="surrogatepass"), JOB.epochs)
    match state:
        case Finished(result):
            assert result.job == JOB.key
        case Running(report):
            assert status in ("PROGRESS", "STARTED")
            assert report is None or isinstance(report, Report)
        case None:
            assert status in ("GIVEN_BACK", "PENDING", "FAILURE", "REVOKED", "RETRY")
        case ended:
            ended.reason.encode()
            assert len(ended.reason) <= 10_000


# Celery would make each type of such arguments, and fail when it is shown.
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("celery.exceptions", "Retry"), ("celery.exceptions", "CeleryCommandException"), ("builtins", "SystemExit"),
        ("click.exceptions", "UsageError"), ("nn.errors", "InvalidInputError"), ("os", "system"), ("x", "a.b c"),
    ],
)  # fmt: skip
def test_a_stored_error_of_any_type_is_a_sentence_or_none(view: Cluster, module: str, name: str) -> None:
    for message in (7, [7], [[1], [2]], [{}, {}], ["x", 1, 2], ["x", "y", 1, 2, 3], [None] * 5):
        for status in ("FAILURE", "REVOKED"):
            error = {"exc_type": name, "exc_message": message, "exc_module": module}
            stored = as_json({"status": status, "result": error, "traceback": None, "children": []})
            state = view.results._parse(JOB.key, stored.encode(), JOB.epochs)
            assert state is None or state.reason.startswith(f"{name}: "), (message, status)


@pytest.mark.parametrize("error", [JobRefusedError("a sentence"), DatasetError("a sentence"), KeyError("a sentence")])
def test_a_stored_error_keeps_its_name_and_its_words(view: Cluster, error: Exception) -> None:
    read = view.app.backend.exception_to_python(view.app.backend.prepare_exception(error))
    assert type(read).__name__ == type(error).__name__
    assert read.args == ("a sentence",)
    assert isinstance(read, SeedsweepError) == isinstance(error, SeedsweepError)


@patient
@given(nearly(REPORT))
def test_whatever_a_report_says_can_be_shown(value: Any) -> None:
    report = read_report(json.loads(as_json(value)))
    assert report is None or (report.epoch == value.get("epoch") and len(report.worker) <= 1000)
    console = Console(file=StringIO(), force_terminal=True, width=100, height=20)
    progress = LiveProgress(console, unsaved({JOB.key: JOB}))
    progress.underway(Activity(began=0.0, at=0.0, running=1, jobs={JOB.key: report}))
    console.print(progress)


def test_a_worker_does_not_train_more_tasks_than_it_can() -> None:
    with pytest.raises(ValidationError):
        Presence.model_validate(PRESENCE | {"running": {f"{task:064x}": 1e9 for task in range(1001)}})


def test_the_values_above_are_valid_and_name_every_field() -> None:
    for model, fields in VALUES.items():
        assert model.model_validate_json(json.dumps(fields)).model_dump(mode="json").keys() == fields.keys()
        assert fields.keys() == model.model_fields.keys()
