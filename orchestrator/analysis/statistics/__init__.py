"""Statistics over seeds: intervals, comparisons, which configuration may be the best, and the rules of a race.

Pure functions of numbers: they know no folder, no job and no metric's name. Scores are oriented so that higher is
better, and finite; the caller ensures both. `docs/statistics.md` explains each estimate, with its assumptions, its
source and its measured coverage (`benchmarks/coverage.py`).

The modules import each other downwards: race; best, honest, comparison; pairs; images; intervals.
Functions import SciPy when they are called, because that takes about a second.
"""
