"""Trainers: what a worker can train. A package adds its own through the entry points `seedsweep.trainers`.

`protocol` defines what a trainer promises, and `checks` tests whether it keeps its promises; `seedsweep` publishes
both. A trainer's module imports NumPy and the like in the methods that need them, because the command line asks every
trainer for its options.
"""
