"""What a run trains: its sweep, another one to be cancelled, and quick jobs, all by one trainer: a worker has one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Literal, get_args

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.cluster import make_job
from tests.support.sweeps import flags_of, sweep_of
from worker.job import Job
from worker.trainers import registry
from worker.trainers.environment import environment

#: Many short epochs of the network, few long ones, and those of the trainer in `examples/own_trainer/`.
Kind = Literal["short", "shuffled", "softmax"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SEEDS, _LEARNING_RATES = tuple(range(9)), (0.01, 0.03, 0.1)
#: The second sweep's seeds are none of the first one's, so that a report of theirs is not taken for one of that.
_OTHER_SEEDS, _OTHER_RATES = (97, 98), (0.01, 0.03)
_N_QUICK = 6
_TOLD_SOFTMAX = {"SEEDSWEEP_TRAINER": "softmax", "SEEDSWEEP_DATA": "digits"}


@dataclass(frozen=True)
class Workload:
    """A workload.

    Attributes:
        sweep: 27 jobs of 0.3 s each, if nothing else runs.
        other: Four jobs of a quarter of a minute each: whatever the faults do, the cancellation comes before the first
            one ends.
        flags: What `orchestrator sweep` is told for the sweep.
        other_flags: The same for the other one.
        quick: Jobs of a few hundredths of a second that workers at rest are given.
        dataset: The digest of the data set.
        environment: What a worker is told.
        evidence: What follows a job's key where Redis keeps the hash of its first weights: a trainer that is not exact
            has one for each kind of machine and each code.
    """

    sweep: SweepSpecification
    other: SweepSpecification
    flags: tuple[str, ...]
    other_flags: tuple[str, ...]
    quick: tuple[Job, ...]
    dataset: str
    environment: Mapping[str, str] = field(default_factory=dict)
    evidence: str = ""

    @cached_property
    def other_jobs(self) -> frozenset[str]:
        """The keys of the other sweep's jobs."""
        return frozenset(job.key for job in self.other.jobs(self.dataset))


@cache
def workload(kind: Kind) -> Workload:
    """Return a workload. That of `softmax` needs the example to be installed (`tests.support.own_trainer`)."""
    return _of_softmax() if kind == "softmax" else _of_network(shuffled=kind == "shuffled")


def _of_network(*, shuffled: bool) -> Workload:
    words: dict[str, Any] = (
        {"epochs": 5, "limit": 40_000, "shuffle": True} if shuffled else {"epochs": 60, "limit": 500}
    )
    sweep = sweep_of(seeds=_SEEDS, learning_rates=_LEARNING_RATES, hidden=(32, 16), **words)
    other = sweep_of(seeds=_OTHER_SEEDS, learning_rates=_OTHER_RATES, epochs=2000, limit=500, hidden=(32, 16))
    quick = tuple(make_job(seed=seed) for seed in range(_N_QUICK))
    return Workload(sweep, other, tuple(flags_of(sweep)), tuple(flags_of(other)), quick, MNIST_DIGEST)


def _of_softmax() -> Workload:
    # Imported here, because it is installed for the suite only.
    from seedsweep_softmax import SoftmaxTrainer

    dataset = SoftmaxTrainer().load("digits", cache_dir=None).digest
    sweep = _softmax(_SEEDS, _LEARNING_RATES, epochs=300)
    other = _softmax(_OTHER_SEEDS, _OTHER_RATES, epochs=15_000)
    quick = tuple(Job.of({"epochs": 2}, seed=seed, dataset=dataset, trainer="softmax") for seed in range(_N_QUICK))
    flags = (_flags_of_softmax(sweep), _flags_of_softmax(other))
    where = f"{environment(SoftmaxTrainer.packages)}, {registry.code('softmax')}"
    evidence = hashlib.sha256(where.encode()).hexdigest()[:16]
    return Workload(sweep, other, *flags, quick, dataset, _TOLD_SOFTMAX, f".{evidence}")


def _softmax(seeds: tuple[int, ...], rates: tuple[float, ...], *, epochs: int) -> SweepSpecification:
    fields = {"trainer": "softmax", "seeds": seeds, "options": {"epochs": epochs}, "grid": {"learning_rate": rates}}
    return SweepSpecification.model_validate(fields)


def _flags_of_softmax(sweep: SweepSpecification) -> tuple[str, ...]:
    rates = ",".join(map(str, sweep.grid["learning_rate"]))
    seeds = ",".join(map(str, sweep.seeds))
    options = ("--grid", f"learning_rate={rates}", "--set", f"epochs={sweep.options['epochs']}")
    return "--trainer", "softmax", "--seeds", seeds, *options
