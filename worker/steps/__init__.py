"""The extensions of Celery's worker: its transport, its request class, and boot steps of the worker and its consumer.

Consumer steps wrap the same functions of Celery. A step that is created later wraps those before it, and Celery creates
a step after all that its `requires` names; `GuardStep` says why its order matters. Imports any other folder of
`worker`.
"""
