"""How to reach Redis, its transient errors, and Celery's result backend. Imports only errors and settings."""
