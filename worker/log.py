"""The worker's log: a text that a record quotes can neither forge a record nor act on a terminal.

Celery's own records quote errors and return values, which others may have written to Redis. Imports `worker.text` only.
"""

import copy
import logging
from typing import Any

from celery.app.log import Logging, TaskFormatter
from celery.utils.log import ColorFormatter

from worker.text import paragraph


class _Paragraphs(ColorFormatter):
    """Escapes what a record says, and indents all its lines but the first."""

    def format(self, record: logging.LogRecord) -> Any:
        """Return the record as text."""
        # A copy, because other handlers may get the record, too.
        shown = copy.copy(record)
        # Before Celery colours it with escape sequences.
        shown.msg, shown.args = paragraph(record.getMessage()), None
        return super().format(shown)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback as text."""
        return f"  {paragraph(super().formatException(ei))}"


class _TaskParagraphs(_Paragraphs, TaskFormatter):
    pass


class ParagraphLogging(Logging):
    """Celery's set-up of the log, with these formatters."""

    def setup_handlers(self, *args: Any, formatter: type[ColorFormatter] = ColorFormatter, **kwargs: Any) -> Any:
        """Add a handler to a logger that has none."""
        own = _TaskParagraphs if issubclass(formatter, TaskFormatter) else _Paragraphs
        return super().setup_handlers(*args, formatter=own, **kwargs)
