"""What is there after a run: plain data, so that a test can plant a violation in it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from nn.files import digest
from tests.chaos.arena.arena import NAME, Arena
from tests.chaos.arena.monitor import ENDED
from tests.chaos.history import Event
from tests.chaos.plan import Plan
from worker.job import Attempt

#: How an orchestrator reports a row: `[ 3/12] seed 0, learning rate 0.03: ...`.
_REPORTED = re.compile(r"^\[ *\d+/\d+\] (seed \d+, learning rate [^:]+):", re.MULTILINE)
#: How it says that messages were lost: Redis forgot them, or a worker died, or was cut off, while it took them.
_LOST = re.compile(r"lost (\d+) jobs?: submitted again")


@dataclass
class Observation:
    """What a run left.

    Attributes:
        cancelled: The keys of the jobs that were cancelled before they had begun.
        lines: The lines of `results.jsonl`.
        logs: Its lines as they were appended, for each file that had the name.
        reported: Each row that an orchestrator reported, as it named its job.
        weights: The SHA-256 of each weights file's content, by the hash in its name.
        files: Every file of the output folder, but for weights.
        attempts: The attempts at each job; `started` is on the clock of the events.
        states: The Celery state of each job; absent without one.
        keys: Redis's keys, with their time to live in seconds (-1: forever).
        members: The names in the hash of workers.
        killed: The names of killed workers.
        statuses: The exit status of the last orchestrator.
        said: What all orchestrators have printed.
        stops: Seconds that each worker took to end after SIGTERM.
        troubles: What the runner found wrong by itself.
        peaks: The most memory that the main process of each worker had at a time, in bytes.
        descriptors: How many files each of them had open at the end.
        other_rows: The status of each row of the cancelled sweep, by job.
        other_status: The exit status of its orchestrator.
    """

    plan: Plan
    events: list[Event]
    cancelled: frozenset[str]
    lines: list[str]
    logs: list[list[str]]
    reported: list[str]
    leaderboard: tuple[bytes, bytes]
    weights: dict[str, str]
    files: set[str]
    attempts: dict[str, list[Attempt]]
    states: dict[str, str]
    keys: dict[str, int]
    members: set[str]
    killed: set[str]
    statuses: list[int]
    said: str
    stops: dict[str, float] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=dict)
    descriptors: dict[str, int] = field(default_factory=dict)
    other_rows: dict[str, str] = field(default_factory=dict)
    other_status: int | None = None

    @property
    def faults(self) -> list[Event]:
        """The faults that struck."""
        return [event for event in self.events if event["event"] == "fault" and event["struck"]]

    @property
    def forgets(self) -> bool:
        """Whether Redis may have forgotten what it was told."""
        return self.plan.persistence == "none" or any(fault["fault"] == "crash Redis" for fault in self.faults)

    @property
    def lost_messages(self) -> bool:
        """Whether work may have waited for an orchestrator to find messages lost."""
        return self.plan.persistence == "none" or self.submitted_again > 0

    @property
    def submitted_again(self) -> int:
        """How many messages the orchestrators found lost, and replaced."""
        return sum(map(int, _LOST.findall(self.said)))


def observe(arena: Arena, troubles: list[str]) -> Observation:
    """Collect what a run has left, when everything rests."""
    folder = arena.output / NAME
    said = arena.said() + arena.other.said()
    client = arena.client
    states = {job: state for job, state in arena.monitor.states.items() if state in ENDED and state is not None}
    return Observation(
        plan=arena.plan,
        events=arena.history.events,
        cancelled=frozenset(arena.cancelled),
        lines=_read(folder / "results.jsonl").decode().splitlines(),
        logs=arena.monitor.logs,
        reported=_REPORTED.findall(said),
        leaderboard=(_read(folder / "leaderboard.csv"), _read(folder / "leaderboard.json")),
        weights={path.stem: digest(path.read_bytes()) for path in folder.glob("weights/*.safetensors")},
        files={
            str(path.relative_to(arena.output))
            for path in arena.output.rglob("*")
            if path.is_file() and path.suffix != ".safetensors"
        },
        attempts={
            job: [each.model_copy(update={"started": each.started - arena.history.began}) for each in found.values()]
            for job, found in arena.monitor.ask(arena.monitor.states)[1].items()
        },
        states=states,
        keys={name.decode(): client.ttl(name) for name in client.scan_iter()},
        members={name.decode() for name in client.hkeys("seedsweep:workers")},  # type: ignore[union-attr]
        killed=arena.killed,
        statuses=arena.statuses,
        said=said,
        stops=arena.stops,
        troubles=troubles,
        peaks=arena.peaks,
        descriptors=arena.descriptors,
        other_rows=arena.other.rows(),
        other_status=arena.other.status(),
    )


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
