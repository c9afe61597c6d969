"""Connections to Redis, its clock, retry policies, and Celery's result backend."""
