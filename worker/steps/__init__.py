"""The extensions of Celery's worker: its request class, and boot steps of the worker and its consumer.

Consumer steps wrap the same functions of Celery. A step that is created later wraps those before it, and Celery creates
a step after all that its `requires` names; `worker.gate.guard` says why its order matters. Imports any other folder of
`worker`.
"""
