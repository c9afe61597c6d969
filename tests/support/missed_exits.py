"""A pool that misses every exit of a process, as Celery's does if the pipe closes just before the process has ended."""

from celery.concurrency.asynpool import AsynPool

AsynPool._event_process_exit = lambda pool, hub, process: pool._untrack_child_process(process, hub)
# It would look again every five seconds.
AsynPool.timers = {}
