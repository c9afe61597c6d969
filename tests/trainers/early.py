"""A trainer whose module imports NumPy at once."""

import numpy as np

from tests.trainers.broken import Honest

ORIGIN = np.zeros(2)


class ImportsEarly(Honest):
    pass
