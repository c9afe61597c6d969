"""What the cluster keeps in Redis beside Celery's own keys. Imports `worker.redis`, and never `worker.steps`."""
