"""A job may come from anyone: whatever a message holds, it is a job or refused."""

import json
import operator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nn.errors import InvalidInputError
from nn.options.network import NetworkOptions
from tests.property.hostile import UNPRINTABLE, answer, json_values, nearly, odd_objects, patient, texts
from tests.support.cluster import make_job
from worker.errors import JobRefusedError
from worker.job import Job
from worker.messages import accept

VALID = make_job().fields()
FIELDS = sorted({*VALID, *Job.model_fields, *NetworkOptions.model_fields})


#: A valid job's fields, some of which are missing, hostile, or too many.
nearly_jobs = st.builds(
    operator.or_, nearly(VALID, json_values | odd_objects, FIELDS), st.dictionaries(texts, json_values, max_size=1)
)
anything = nearly_jobs | json_values | odd_objects


@patient
@given(anything)
def test_parse_gives_a_job_or_says_why_not(fields: Any) -> None:
    job = answer(Job.parse, fields, error=InvalidInputError)
    if job is not None:
        # What was taken travels without a change, and keeps its name.
        again = Job.parse(json.loads(json.dumps(job.fields())))
        assert again == job
        assert again.key == job.key


@patient
@given(anything, texts | st.just(make_job().key))
@example(VALID, make_job().key)
def test_the_task_accepts_its_own_job_and_no_other(fields: Any, task_id: str) -> None:
    job = answer(accept, task_id, fields, error=JobRefusedError)
    if job is not None:
        assert task_id.partition(".")[0] == job.key


@patient
@given(st.sampled_from([name for name in FIELDS if name != "options"]), json_values | odd_objects)
def test_a_refusal_names_the_field(field: str, value: Any) -> None:
    refusal = None
    try:
        Job.parse(VALID | {field: value})
    except InvalidInputError as error:
        refusal = str(error)
    assert refusal is None or refusal.startswith((field, "job "))


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


ITSELF: list[Any] = []
ITSELF.append(ITSELF)
CHOKING = {
    "a structure that holds itself": ITSELF,
    "nested deep": nested(100_000),
    "large": "a" * 10_000_000,
    "thousands of digits": UNPRINTABLE,
    "not a number": float("nan"),
    "bytes": b"\xff",
    "a set": {"a"},
    "an object": object(),
}


@pytest.mark.parametrize("name", CHOKING)
def test_values_that_json_or_pydantic_choke_on_are_refused(name: str) -> None:
    value = CHOKING[name]
    for fields in (value, *({**VALID, field: value} for field in VALID)):
        assert answer(Job.parse, fields, error=InvalidInputError) is None
