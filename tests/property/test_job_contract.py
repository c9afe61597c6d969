"""A job may come from anyone: whatever a message holds, it is a job or refused."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nn.errors import InvalidInputError
from tests.property.hostile import UNPRINTABLE, answer, json_values, odd_objects, texts, thorough
from tests.support.cluster import make_job
from worker.errors import JobRefusedError
from worker.job import Job, Result, task_id
from worker.messages import accept

VALID = make_job().fields()


@st.composite
def nearly_jobs(draw: st.DrawFn) -> Any:
    """A valid job's fields, some of which are missing, hostile, or too many."""
    fields: dict[Any, Any] = dict(VALID)
    for name in draw(st.lists(st.sampled_from(sorted(VALID)), max_size=3)):
        if draw(st.booleans()):
            fields.pop(name, None)
        else:
            fields[name] = draw(json_values | odd_objects)
    return fields | draw(st.dictionaries(texts, json_values, max_size=1))


anything = nearly_jobs() | json_values | odd_objects


@thorough
@given(anything)
def test_parse_gives_a_job_or_says_why_not(fields: Any) -> None:
    job = answer(Job.parse, fields, error=InvalidInputError)
    if job is not None:
        # What was taken travels without a change, and keeps its name.
        again = Job.parse(json.loads(json.dumps(job.fields())))
        assert again == job
        assert again.key == job.key


@thorough
@given(anything, texts | st.just(make_job().key))
def test_the_task_accepts_its_own_job_and_no_other(fields: Any, task_id: str) -> None:
    job = answer(accept, task_id, fields, error=JobRefusedError)
    if job is not None:
        assert task_id.partition(".")[0] == job.key


@thorough
@given(texts)
def test_a_label_gives_a_task_id_that_names_its_job(label: str) -> None:
    job = make_job()
    name = answer(task_id, job, label, error=InvalidInputError)
    if name is not None:
        assert accept(name, VALID) == job


def test_a_structure_that_holds_itself_is_refused() -> None:
    fields: dict[str, Any] = dict(VALID)
    fields["limit"] = fields
    assert answer(Job.parse, fields, error=InvalidInputError) is None


def test_a_structure_of_any_depth_is_refused() -> None:
    nested: Any = 0
    for _ in range(100_000):
        nested = [nested]
    assert answer(Job.parse, {**VALID, "limit": nested}, error=InvalidInputError) is None


def test_a_large_job_is_refused_in_little_memory() -> None:
    large = {**VALID, "dataset": "a" * 10_000_000}
    assert answer(Job.parse, large, error=InvalidInputError) is None


def test_an_integer_that_cannot_be_printed_is_refused_in_a_sentence() -> None:
    for name in VALID:
        assert answer(Job.parse, {**VALID, name: UNPRINTABLE}, error=InvalidInputError) is None
    assert answer(Job.parse, UNPRINTABLE, error=InvalidInputError) is None


def test_results_name_every_field() -> None:
    # The strategies above know the fields by name: a new one is drawn as well.
    assert VALID.keys() >= Job.model_fields.keys() - {"trainer", "options"}
    assert "job" in Result.model_fields
