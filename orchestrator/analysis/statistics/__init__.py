"""Statistics over seeds: intervals, comparisons, and which configuration may be the best.

Pure functions of numbers: they know no folder, no job and no metric's name. Scores are oriented so that higher is
better, and finite; the caller ensures both. `docs/explanation/statistics.md` explains each estimate, with its
assumptions, its source and its measured coverage (`benchmarks/coverage.py`).

The modules import each other downwards: best, honest, comparison; pairs; images; intervals; boundaries.
Functions import SciPy when they are called, because that takes about a second.
"""
