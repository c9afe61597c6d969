"""The states of tasks, read from Celery's result backend and validated.

Stateless: everything is read by task id, so that any orchestrator can continue the work of another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery, states
from celery.exceptions import TaskRevokedError
from pydantic import ValidationError

from nn.errors import SeedsweepError
from nn.options.describe import first_fault
from nn.options.network import MAX_EPOCHS
from worker.job import Result
from worker.records import report
from worker.records.report import Report, read_report
from worker.redis import limits
from worker.redis.bounded import chunks, read_each
from worker.redis.waiting import Policy


@dataclass(frozen=True)
class Running:
    """A worker has started the task. `report` is its last progress report, None before the first."""

    report: Report | None


@dataclass(frozen=True)
class Finished:
    """The task succeeded with a valid result."""

    result: Result


@dataclass(frozen=True)
class Failed:
    """The task ended with an error, or its stored result is invalid."""

    reason: str


@dataclass(frozen=True)
class Cancelled:
    """The task was revoked."""

    reason: str


Ended = Finished | Failed | Cancelled
State = Running | Ended


class Results:
    """The result backend of one cluster.

    Args:
        app: The Celery app.
        client: A client of the result backend.
        policy: What to do when Redis rejects a command.
    """

    def __init__(self, app: Celery, client: redis.Redis, policy: Policy) -> None:
        self._app = app
        self._client = client
        self._policy = policy

    def states(self, task_ids: Iterable[str], epochs: int = MAX_EPOCHS) -> Iterator[tuple[str, State]]:
        """Yield these tasks with their states, one of which is in memory at a time.

        Tasks are absent if they are queued, unknown to the cluster, or have an invalid stored state.

        Args:
            task_ids: The tasks.
            epochs: The most epochs of any of their jobs. A result of more belongs to another job, and is not kept.
        """
        for chunk in chunks(task_ids):
            values = read_each(self._client, self._keys(chunk), limits.RESULT)
            for task_id, stored in zip(chunk, values, strict=True):
                state = None if stored is None else self._parse(task_id, stored, epochs)
                if state is not None:
                    yield task_id, state

    def over(self, task_ids: Iterable[str], kind: Any = Ended) -> set[str]:
        """Return which of these tasks have ended in some way."""
        return {key for key, state in self.states(task_ids) if isinstance(state, kind)}

    def forget(self, task_ids: Iterable[str]) -> None:
        """Remove the states of these tasks, so that they can be submitted again."""
        for chunk in chunks(task_ids):
            self._client.delete(*self._keys(chunk))

    def revoke(self, task_ids: Iterable[str], reason: str) -> None:
        """Store that these tasks are cancelled. A stored success is never overwritten."""
        for task_id in task_ids:
            self._policy(lambda task_id=task_id: self._app.backend.mark_as_revoked(task_id, reason))  # type: ignore[misc]

    def _keys(self, task_ids: Iterable[str]) -> list[Any]:
        return [self._app.backend.get_key_for_task(task_id) for task_id in task_ids]

    def _parse(self, task_id: str, stored: bytes, epochs: int) -> State | None:
        meta = self._app.backend.decode_result(stored)
        name, value = meta["status"], meta["result"]
        match name:
            case states.SUCCESS:
                return _finished(task_id, value, epochs)
            case states.FAILURE:
                return Failed(_words(value))
            case states.REVOKED:
                return Cancelled(_words(value))
            case states.STARTED | report.PROGRESS:
                return Running(read_report(value))
            case _:
                return None


def _finished(task_id: str, value: Any, epochs: int) -> Finished | Failed:
    try:
        result = Result.model_validate(value)
    except ValidationError as error:
        return Failed(f"the stored result is invalid{first_fault(error)}")
    if result.job != task_id.partition(".")[0] or len(result.epoch_seconds) > epochs:
        return Failed("the stored result belongs to another job")
    return Finished(result)


def _words(value: Any) -> str:
    """Return a stored error as a sentence that UTF-8 can encode."""
    plain = isinstance(value, SeedsweepError | TaskRevokedError)
    words = f"{value}" if plain else f"{type(value).__name__}: {value}"
    return words[: limits.ERROR_TEXT].encode(errors="replace").decode()
