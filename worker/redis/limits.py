"""The most bytes of each kind of value in Redis, and the most values of a list or hash.

Each limit exceeds the largest value that Seedsweep writes. A longer value is not ours: it is not read
(`worker.redis.bounded`), and counts as invalid.
"""

from nn.options.network import MAX_EPOCHS

#: The characters of the message and of the traceback of a failure. The result backend truncates both.
ERROR_TEXT = 10_000
#: The state of a task: two texts of `ERROR_TEXT`, whose characters take up to 12 bytes each in JSON, three numbers of
#: 17 digits for each epoch, and the packed answers (`worker.job.Packed`). All jobs have one limit, because every reader
#: must agree on what is a result.
RESULT = 2**18 + 2**17 + 80 * MAX_EPOCHS
#: Most values in such a state: its numbers, and what looks like values in two texts of `ERROR_TEXT`.
RESULT_VALUES = 1000 + 3 * MAX_EPOCHS + 2 * ERROR_TEXT
#: The end of a failed job's log.
LOG = 2**16
#: The name of an artifact in bytes: a SHA-256, and the first 8 of another.
ARTIFACT = 40
#: A SHA-256, or a time in seconds.
SHORT = 64
#: Why a task or a sweep is cancelled: a sentence with the name of the sweep.
REASON = 4096
#: An attempt, with the name of its worker; a task has few, and one more with each restart of a worker.
ATTEMPT, ATTEMPTS = 4096, 4096
#: A mismatch, with two hashes and two names of at most 300 bytes; the first ones of a job are enough.
MISMATCH, MISMATCHES = 1024, 16
#: The presence of a worker that trains a thousand tasks at once, of 130 bytes each, and jobs of a thousand versions.
PRESENCE, PRESENCES, PRESENCE_VALUES = 2**18, 4096, 5000
#: A manifest: 100,000 job keys and as many seeds take 9 MB.
MANIFEST = 2**24
#: The name of a sweep.
NAME, SWEEPS = 100, 10_000


def checkpoint(epochs: int, weights: int) -> int:
    """Return the limit of a checkpoint; `weights` is the limit of the job's weights (`Trainer.max_bytes`); in bytes."""
    # The first line without its history, and the record of each epoch.
    return 1024 + 100 * epochs + weights
