"""Connections to Redis, retry policies, and Celery's result backend. Imports only errors and settings."""
