"""Keeps a worker alive when Celery or its pool cannot handle a message that passed the gate."""

from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker.state import task_ready

from nn.errors import clipped

logger = get_logger(__name__)

#: Most characters of a dropped message that are logged.
_SHOWN = 200


class GuardStep(bootsteps.StartStopStep):
    """Drops a message whose handling fails, with a line in the log.

    Celery lets such an error end the event loop and the worker. The message would then go back to its queue, and end
    all workers, one after another.

    The guard wraps the lease's message handler, and not the other way round, so that an error in the lease cannot end
    the worker either. A message that the guard drops before the lease sees it has just arrived, so its connection is
    still open.
    """

    requires = ("celery.worker.consumer.tasks:Tasks", "worker.steps.lease:LeaseStep")

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        # Kombu treats KeyError as a connection error; here it means that the message lacks a field.
        self._transient = tuple({*c.connection_errors, *c.channel_errors} - {KeyError})
        self._create_task_handler = c.create_task_handler
        c.create_task_handler = self.create_task_handler
        self._controller = c.controller
        self._process_task = c.controller._process_task
        c.controller._process_task = self.process_task

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], object]:
        """Return a message handler that raises only transient errors."""
        handle = self._create_task_handler(*args, **kwargs)
        return lambda message: self._handled(handle, message, message)

    def process_task(self, request: Any) -> None:
        """Send a request to the pool, or drop it and free its place: Celery frees it only for a revoked request."""
        if not self._handled(self._process_task, request, request.message):
            task_ready(request)
            if self._controller.semaphore is not None:
                self._controller.semaphore.release()

    def _handled(self, handle: Callable[[Any], object], what: Any, message: Any) -> bool:
        """Handle something, and return True; drop its message, and return False, if that fails for good."""
        try:
            handle(what)
        except self._transient:
            raise
        except Exception as error:
            shown, headers = (clipped(repr(each), _SHOWN) for each in (error, message.headers))
            logger.exception("Dropped what is not a message of a task: %s; it holds %s", shown, headers)
            # Otherwise it would be redelivered.
            message.reject_log_error(logger, self._transient)
            return False
        return True
