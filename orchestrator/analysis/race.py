"""A race between a sweep's configurations: which of them train on further seeds, and when it ends.

The sweep's judgement (`orchestrator.analysis.leaderboard.judgement`) says which configurations may still be better than
the leader by more than the tolerance. These and the leader train until the next look, the others need no further seed.
The comparisons hold at all looks together, whichever pairs are compared at which of them. So a race depends only on the
sweep's manifest and rows, and a resumed one repeats its earlier decisions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal

from orchestrator.analysis.leaderboard.judgement import MOST_NAMED
from orchestrator.analysis.leaderboard.scores import Scored
from orchestrator.analysis.statistics.boundaries import LOOKS
from orchestrator.analysis.sweep import Sweep
from orchestrator.sweeps.rounds import Round
from orchestrator.text import counted, listed

#: Why a race ended: the leader is the best; no other is better by more than the tolerance; the next look takes more
#: jobs than the budget has left; the sweep was cancelled; most jobs of those that are left do not train.
Ending = Literal["separated", "within", "budget", "cancelled", "nothing trains"]

#: One more than the largest seed.
_SEEDS = 2**32


@dataclass(frozen=True)
class Terms:
    """When a race ends.

    Attributes:
        within: The tolerance, in the metric's unit: a leader suffices if no configuration is better by more.
        budget: The most jobs that the race adds to the sweep, in all its sessions together.
        metric: How a job is scored, as `Scoring.parse` reads it; None for the sweep's own way.
    """

    within: float
    budget: int
    metric: str | None = None


@dataclass(frozen=True)
class Race:
    """A race as it stands.

    Attributes:
        sweep: The sweep, whose verdict is that of the race.
        terms: When it ends.
    """

    sweep: Sweep
    terms: Terms

    @cached_property
    def spent(self) -> int:
        """The number of jobs that races have added."""
        return len(self.sweep.manifest.added_by_races)

    @cached_property
    def ended(self) -> Ending | None:
        """Why it ended; None while it goes on."""
        if any(row.status == "cancelled" for row in self.sweep.rows.values()):
            return "cancelled"
        judgement = self.sweep.judgement
        if judgement.leader is None:
            return "nothing trains" if self.sweep.finished else None
        if judgement.decided:
            return "within" if judgement.rivals else "separated"
        if len(self._racing) < 2:
            return "nothing trains"
        return "budget" if self.next_jobs > self.terms.budget - self.spent else None

    @property
    def next_jobs(self) -> int:
        """How many jobs the next look needs."""
        return sum(map(len, self._lacking[1].values()))

    @property
    def next_look(self) -> int:
        """The number of seeds that each configuration in the race has at the next look."""
        return self._lacking[0]

    @property
    def next_round(self) -> Round | None:
        """The further jobs; None while jobs are missing, or if the race has ended."""
        if self.ended is not None or not self.sweep.finished:
            return None
        look, lacking = self._lacking
        # Every configuration gets every seed that one of them lacks; a job that it already has keeps its key.
        wanted = set[int]().union(*lacking.values())
        seeds = tuple(seed for seed in islice(self._seeds(), look) if seed in wanted)
        points = tuple(self.sweep.manifest.point(self._racing[i].options) for i in lacking)
        return Round(kind="decide", seeds=seeds, configurations=points)

    @cached_property
    def _wanted(self) -> list[Scored]:
        """The leader, and those that may be better by more than the tolerance."""
        judgement = self.sweep.judgement
        leader = judgement.leader
        return [] if leader is None else [leader, *judgement.blocking(self.terms.within).values()]

    @cached_property
    def _racing(self) -> list[Scored]:
        """Those of them that get further seeds: if most jobs did not train, most of further ones would not, either."""
        fit = [each for each in self._wanted if 2 * len(each.trained) >= len(each.entries)]
        return fit if fit[:1] == self._wanted[:1] else []

    @cached_property
    def _lacking(self) -> tuple[int, dict[int, list[int]]]:
        """The first look for which one in the race lacks jobs, and the seeds that each lacks then."""
        present = [{entry.seed for entry in each.entries} for each in self._racing]
        for look in LOOKS.tolist():
            seeds = list(islice(self._seeds(), look))
            lacking = {i: [seed for seed in seeds if seed not in own] for i, own in enumerate(present)}
            lacking = {i: missing for i, missing in lacking.items() if missing}
            if lacking:
                return look, lacking
        return 0, {}

    def _seeds(self) -> Iterator[int]:
        """Yield the seeds of the race: those of the sweep in its order, then the integers after the largest."""
        known = dict.fromkeys(job.seed for job in self.sweep.jobs.values())
        yield from known
        after = max(known) + 1
        yield from (seed for each in range(after, after + _SEEDS) if (seed := each % _SEEDS) not in known)

    @property
    def seeds(self) -> int:
        """The number of seeds of the configuration that has most."""
        return max(len(each.entries) for each in self.sweep.scored)

    @property
    def full_grid(self) -> int:
        """The number of jobs if each configuration had as many seeds."""
        return len(self.sweep.scored) * self.seeds

    @property
    def saved(self) -> int:
        """The number of these jobs that the race skipped."""
        return self.full_grid - len(self.sweep.jobs)

    @property
    def prospect(self) -> str:
        """How many further jobs the race takes, and why its verdict differs from the sweep's, as sentences."""
        advice, most = self.sweep.judgement.advice, f"gets at most {counted(self.terms.budget - self.spent, 'job')}"
        if advice is not None and advice.within == self.terms.within:
            most = f"needs about {counted(advice.jobs, 'job')} if the differences are as they seem, and {most}"
        return f"The race {most}. Its intervals are wider: they hold at all looks."

    def __str__(self) -> str:
        """Say what comes next, or why nothing does, as a sentence; empty if the verdict says it."""
        if self.ended == "cancelled":
            return "The sweep was cancelled."
        lost = [each for each in self._wanted if 2 * len(each.trained) < len(each.entries)]
        if self.ended == "nothing trains" and lost:
            named = listed([self.sweep.names.configuration(each.options) for each in lost[:MOST_NAMED]], "and")
            return f"Most jobs of {named} did not train, and no further seeds are tried."
        if self.ended not in (None, "budget"):
            return ""
        left, needed = self.terms.budget - self.spent, counted(self.next_jobs, "further job")
        has = f"{left} of {self.terms.budget} are left" if left >= 0 else f"{self.spent} were added before"
        told = f"The next look, at {self.next_look} seeds, takes {needed}; {has}"
        return f"{told}: --budget {self.spent + self.next_jobs} goes on." if self.ended else f"{told}."
