"""The extensions of Celery's worker: its request class, and boot steps of the worker and its consumer.

Consumer steps wrap the same functions of Celery, a later step around the earlier ones. Celery creates a step after
those in its `requires`; `worker.gate.guard` says why the order matters. Imports any other folder of `worker`.
"""
