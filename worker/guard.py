"""Keeps a worker alive whatever lies in its queue: what is no message is dropped, with a line in the log."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from pydantic import BaseModel

logger = get_logger(__name__)

#: How much of what was dropped is logged, in characters.
_SHOWN = 200


class _Headers(BaseModel):
    """The headers that Celery uses before it looks at their types: a wrong one would cost a place in the pool."""

    task: str
    id: str
    retries: int | None = None
    timelimit: tuple[float | None, float | None] | None = None


class GuardStep(bootsteps.StartStopStep):
    """Catches what kombu and Celery raise on bytes that are no message, on two levels.

    Celery answers a pickled body or an unknown task by itself. Anything worse (no JSON, a body that is no base64, a
    task without an id) would end the event loop and the worker with it; and because such a message goes back to its
    queue when its worker ends, it would end all workers, one after another.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        # Kombu counts KeyError among the errors of a connection; here it is a field that a message lacks.
        errors = (*c.connection_errors, *c.channel_errors)
        self._passing = tuple(error for error in errors if error is not KeyError)
        self._create_task_handler = c.create_task_handler
        c.create_task_handler = self.create_task_handler

    def start(self, c: Any) -> None:
        """Guard the reading of messages on a new connection."""
        handlers = getattr(c.task_consumer.channel, "handlers", None)
        if handlers is not None:
            handlers["BRPOP"] = self._guarded_read(handlers["BRPOP"])

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return Celery's handler of one message, which then cannot raise because of what the message holds."""
        handle = self._create_task_handler(*args, **kwargs)

        def guarded(message: Any) -> None:
            try:
                _Headers.model_validate(message.headers)
                handle(message)
            except self._passing:
                raise
            except Exception as error:
                logger.exception(
                    "Dropped what is no message of a task: %s; it holds %s", error, _shown(message.headers)
                )
                # Without this it would be delivered again.
                message.reject_log_error(logger, self._passing)

        return guarded

    def _guarded_read(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return read(*args, **kwargs)
            except (Empty, *self._passing):
                raise
            except Exception as error:
                # Taking it from the queue has removed it already.
                logger.exception("Dropped what is no message at all: %s", _shown(error))

        return guarded


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
