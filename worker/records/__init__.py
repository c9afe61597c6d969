"""What Seedsweep keeps in Redis beside Celery's keys. Imports `worker.redis`, `worker.job`; never `worker.steps`."""
