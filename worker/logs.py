"""Keeps out of a worker's log what would alarm its reader for nothing."""

from __future__ import annotations

import logging
import warnings

from celery.exceptions import CPendingDeprecationWarning, Reject


def calm_logs() -> None:
    """Leave out tracebacks of jobs that were given back on purpose, and advice that does not hold here."""
    logging.getLogger("celery.app.trace").addFilter(_without_traceback)
    # At every reconnect Celery says that running jobs are lost to it, and that a setting would end them: the lease
    # adopts them, and the setting would lose them (`worker.app`).
    warnings.filterwarnings("ignore", "\nIn Celery 5.1 we introduced", CPendingDeprecationWarning)


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[0] is Reject:
        record.exc_info = None
    return True
