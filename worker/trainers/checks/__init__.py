"""Whether a trainer keeps the promises of the protocol: `check_trainer`, for the tests of a trainer's own package.

`case` trains and remembers, `arrays` looks into data; `definition`, `options`, `data`, `training`, `resuming` and
`elsewhere` have the checks, of which each is a function that raises `Broken`; `process` is the program that trains in
another process. Imports the protocol only, and NumPy in functions.
"""

from worker.trainers.checks.run import check_trainer, checks

__all__ = ["check_trainer", "checks"]
