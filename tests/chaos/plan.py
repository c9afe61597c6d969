"""What is done to a run: a pure function of its seed, so that `SEED=17 make chaos` does it again."""

import random
from dataclasses import dataclass
from typing import Literal, get_args

from tests.chaos.arena.workload import Kind

Fault = Literal[
    "kill a child",
    "kill a worker",
    "freeze a worker",
    "stop a worker",
    "cut connections",
    "stop Redis",
    "kill Redis",
    "crash Redis",
    "kill the orchestrator",
    "stall the network",
    "reset the network",
    "fill the disk",
    "cancel jobs",
    "refuse writes",
    "cancel a sweep",
    "refuse writes and cut",
    "shout",
    "foreign values",
    "forged headers",
    "operate",
    "hang a process",
    "skew a clock",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
#: `always` and `everysec` are Redis's own words for its append-only file; `none` keeps nothing.
Persistence = Literal["always", "everysec", "none"]

CANCELLING: tuple[Fault, ...] = ("cancel jobs", "cancel a sweep")
RESTARTS: tuple[Fault, ...] = ("stop Redis", "kill Redis", "crash Redis")
#: While these last, Redis does not answer, or takes nothing.
OUTAGES: tuple[Fault, ...] = (*RESTARTS, "stall the network", "refuse writes", "refuse writes and cut")
#: After these, somebody asks for the sweep again, which takes a cancellation back; a crash may forget it.
UNDO_CANCELLING: tuple[Fault, ...] = ("kill the orchestrator", "fill the disk", "crash Redis", "operate")
#: What no job notices.
UNNOTICED: tuple[Fault, ...] = ("shout", "foreign values", "forged headers", "skew a clock")
#: Whoever wakes a frozen worker up would wake up its process that hangs, too.
APART: tuple[Fault, ...] = ("hang a process", "freeze a worker")
#: Of so many runs one has a Redis that keeps nothing.
FORGETFUL = 10
#: Of so many runs one has a worker that trains two jobs at once.
PAIRED = 3
#: Of so many runs one trains by the trainer in `examples/own_trainer/`: by the seed, so that it meets every fault.
OWN = 3


@dataclass(frozen=True)
class Strike:
    """One fault.

    Attributes:
        pause: Seconds after the strike before, or after the first job has begun.
        choice: Picks the victim, and whatever else the fault leaves open.
    """

    fault: Fault
    pause: float
    choice: int


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        shuffled: Which of the network's two sweeps is run: few long shuffled epochs, or many short ones.
        proxied: Whether the orchestrator, too, reaches Redis over the proxy.
        paired: Whether one of the two workers trains two jobs at once.
    """

    seed: int
    shuffled: bool
    proxied: bool
    persistence: Persistence
    strikes: tuple[Strike, ...]
    paired: bool = False

    @property
    def kind(self) -> Kind:
        """What is trained."""
        if self.seed % OWN == OWN - 1:
            return "softmax"
        return "shuffled" if self.shuffled else "short"

    def has(self, fault: Fault) -> bool:
        """Return whether the fault is planned."""
        return any(strike.fault == fault for strike in self.strikes)


def make_plan(seed: int) -> Plan:
    """Return the plan of this seed.

    Consecutive seeds begin with different faults. In every second round of all faults each one is alone, so that
    nothing else explains how long it takes. In the others it is followed by the one half a round away, so that 20 seeds
    have all faults; later rounds bring other pairs together.
    """
    rng = random.Random(f"seedsweep chaos {seed}")
    persistence: Persistence = rng.choice(("always", "everysec"))
    turn = seed // len(FAULTS)
    faults = [FAULTS[seed % len(FAULTS)]]
    if turn % 2 == 0:
        away = len(FAULTS) // 2 + 3 * turn
        faults += [FAULTS[(seed + away) % len(FAULTS)], *rng.choices(FAULTS, k=rng.choice((0, 1, 1, 2)))]
    if seed % FORGETFUL == FORGETFUL - 1:
        persistence = "none"
        # A crash loses what was not written yet; this Redis writes nothing.
        faults = [fault for fault in faults if fault not in ("cancel jobs", "cancel a sweep", "crash Redis")]
        faults.insert(1, rng.choice(RESTARTS[:2]))
    elif "crash Redis" in faults:
        persistence = "everysec"
    cancelling = next((fault for fault in faults if fault in CANCELLING), None)
    if cancelling == "cancel a sweep":
        # First, because the other sweep is in front of the queue until then.
        faults = [cancelling, *(fault for fault in faults if fault not in (*CANCELLING, "crash Redis"))]
    elif cancelling == "cancel jobs":
        # First, and soon, because only jobs that have not begun are cancelled: whether a running one ends in time is a
        # race.
        faults = [cancelling, *(fault for fault in faults if fault not in (*CANCELLING, *UNDO_CANCELLING))]
    apart = next((fault for fault in faults if fault in APART), None)
    faults = [fault for fault in faults if fault not in APART or fault == apart]
    longest = {"cancel jobs": 0.3}
    strikes = tuple(
        Strike(fault, round(rng.uniform(0.05, longest.get(fault, 2.0)), 3), rng.randrange(1 << 30)) for fault in faults
    )
    shuffled, proxied = rng.random() < 0.5, rng.random() < 0.5
    return Plan(seed, shuffled, proxied, persistence, strikes, paired=rng.randrange(PAIRED) == 0)
