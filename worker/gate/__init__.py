"""The gate: validates every message before kombu or Celery acts on it."""
