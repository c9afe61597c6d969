"""The gate: validates every message before kombu or Celery acts on it. Imports `worker.messages` and `worker.text`."""
