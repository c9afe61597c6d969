"""Trains jobs of the trainer `sklearn` for tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from seedsweep import Checkpoint, Trained
from worker.trainers.sklearn.sources import SklearnData
from worker.trainers.sklearn.trainer import SklearnTrainer

TRAINER = SklearnTrainer()


@dataclass
class Run:
    """What a job reported and returned: metrics, further metrics and checkpoints, one of each an epoch."""

    values: list[float] = field(default_factory=list)
    others: list[Mapping[str, float]] = field(default_factory=list)
    states: list[bytes | None] = field(default_factory=list)
    trained: Trained = field(default_factory=lambda: Trained(artifact=b""))

    def on_epoch(
        self, value: float, checkpoint: Callable[[], bytes] | None = None, others: Mapping[str, float] | None = None
    ) -> None:
        self.values.append(value)
        self.others.append(others or {})
        self.states.append(checkpoint and checkpoint())


@cache
def toy(name: str) -> SklearnData:
    return TRAINER.load(name, Path("unused"))


def read(**values: Any) -> Any:
    return TRAINER.options_for(values).model_validate(values)


def train(data: SklearnData | str, *, seed: int = 1, resume_from: Checkpoint | None = None, **values: Any) -> Run:
    run = Run()
    loaded = toy(data) if isinstance(data, str) else data
    run.trained = TRAINER.train(read(**values), seed, loaded, on_epoch=run.on_epoch, resume_from=resume_from)
    return run


def check(data: SklearnData | str, **values: Any) -> None:
    """Check a sweep; a list is several values of an option."""
    several: dict[str, Sequence[Any]] = {
        name: value if isinstance(value, list) else [value] for name, value in values.items()
    }
    common = {name: each[0] for name, each in several.items() if len(each) == 1}
    model = TRAINER.options_for(common)
    defaults = {name: [info.default] for name, info in model.model_fields.items() if not info.is_required()}
    loaded = toy(data) if isinstance(data, str) else data
    TRAINER.check({**defaults, **several}, loaded.digest, lambda: loaded)
