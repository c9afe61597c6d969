"""Keeps a worker alive whatever lies in its queue: what is no message is dropped, with a line in the log."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker.state import task_ready
from pydantic import BaseModel, Field

from worker.messages import QUEUE

logger = get_logger(__name__)

#: How much of what was dropped is logged, in characters.
_SHOWN = 200
#: The most that a message's body may take, in characters of base64. A job's takes less than 1,000.
MAX_BODY = 65_536


class _Headers(BaseModel):
    """The headers that Celery uses before it looks at their types: a wrong one would cost a place in the pool."""

    task: str
    id: str
    retries: int | None = None
    timelimit: tuple[float | None, float | None] | None = None
    stamped_headers: list[str] | None = None


class _RawHeaders(BaseModel):
    #: Kombu unpacks a body before anyone can look at it, and a thousand bytes can hold gigabytes. Nobody here packs.
    compression: None = None


class _Raw(BaseModel):
    """A message as it comes from the queue."""

    body: str = Field(max_length=MAX_BODY)
    headers: _RawHeaders


class GuardStep(bootsteps.StartStopStep):
    """Catches what kombu and Celery raise on bytes that are no message, wherever they first look at them.

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
        self._controller = c.controller
        self._process_task = c.controller._process_task
        c.controller._process_task = self.process_task

    def start(self, c: Any) -> None:
        """Guard the reading of messages on a new connection."""
        channel = c.task_consumer.channel
        handlers = getattr(channel, "handlers", None)
        if handlers is not None:
            handlers["BRPOP"] = self._guarded_read(handlers["BRPOP"])
            channel.connection._deliver = self._guarded_delivery(channel.connection._deliver)
            channel.qos.restore_by_tag = self._guarded_restoring(channel.qos)

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

    @staticmethod
    def _guarded_delivery(deliver: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
        def guarded(message: Any, queue: str) -> None:
            # What it raises is caught where messages are read.
            if queue == QUEUE:
                _Raw.model_validate(message)
            deliver(message, queue)

        return guarded

    def _guarded_restoring(self, qos: Any) -> Callable[..., None]:
        restore = qos.restore_by_tag

        def guarded(tag: Any, *args: Any, **kwargs: Any) -> None:
            try:
                restore(tag, *args, **kwargs)
            except self._passing:
                raise
            except Exception as error:
                # Left there, it would keep all that was held before it from being given back.
                logger.exception("Dropped what was held and is no message: %s: %s", _shown(tag), _shown(error))
                qos._remove_from_indices(tag).execute()

        return guarded

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
                self._drop(message, error)

        return guarded

    def process_task(self, request: Any) -> None:
        """Send a request to the pool, or drop it: Celery gives its place back only if it is revoked."""
        try:
            self._process_task(request)
        except self._passing:
            raise
        except Exception as error:
            self._drop(request.message, error)
            task_ready(request)
            if self._controller.semaphore is not None:
                self._controller.semaphore.release()

    def _drop(self, message: Any, error: Exception) -> None:
        shown, headers = _shown(error), _shown(message.headers)
        logger.exception("Dropped what is no message of a task: %s; it holds %s", shown, headers)
        # Without this it would be delivered again.
        message.reject_log_error(logger, self._passing)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
