"""Connections to Redis, its clock, retry policies, and Celery's result backend. Imports only errors and settings."""
