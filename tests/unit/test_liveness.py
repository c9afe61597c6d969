"""Signs of life: how long a pool's process may go without one."""

import pytest

from worker.settings import Settings
from worker.training.shared import Liveness, Sign, longest_silence


def test_outside_a_pool_a_sign_does_nothing() -> None:
    liveness = Liveness()
    liveness.sign(slowest_epoch=1.0)
    assert liveness.last_of(0) == Sign(0, 0.0)


@pytest.mark.parametrize(
    ("settings", "slowest_epoch", "seconds"),
    [
        (Settings(), 0.0, 600.0),
        (Settings(), 59.0, 600.0),
        (Settings(), 61.0, 610.0),
        (Settings(hang_seconds=100.0), 9.0, 100.0),
        # A forged checkpoint may name any duration.
        (Settings(), 1e10, 86_400.0),
        # A command to Redis may take its time.
        (Settings(hang_seconds=1.0), 0.0, 60.0),
        (Settings(hang_seconds=1.0, socket_seconds=2.0), 0.0, 6.0),
    ],
)
def test_a_silence_may_last_as_long_as_the_longest_reason_for_it(
    settings: Settings, slowest_epoch: float, seconds: float
) -> None:
    assert longest_silence(settings, slowest_epoch) == seconds
