"""Turns what a trainer raises where it may not into an error that names the trainer and the method.

A trainer is other people's code, which commands and workers call in many places. `train`, `load` and `test` are called
in one each, which look after them: `worker.training.trainer`, `registry.load` and `orchestrator.analysis.held_out`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nn.errors import SeedsweepError
from worker.errors import TrainerUnusableError
from worker.text import one_line
from worker.trainers.protocol import Trainer

_METHODS = (
    "options_for", "metric_of", "epochs", "prepare", "digest", "check", "check_artifact", "max_bytes", "others",
    "version_of", "named", "data_name", "model_name", "continued", "held_out",
)  # fmt: skip


def guard(trainer: Trainer[Any, Any]) -> None:
    """Let the methods of a trainer raise our own errors only, and `MemoryError`."""
    for name in _METHODS:
        # In its own dictionary, which every object has, also one that forbids to set attributes.
        vars(trainer)[name] = _guarded(trainer, name)


def _guarded(trainer: Trainer[Any, Any], name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **more: Any) -> Any:
        try:
            return getattr(type(trainer), name)(trainer, *arguments, **more)
        except (SeedsweepError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            reason = one_line(f"{type(error).__name__}: {error}"[:300])
            raise TrainerUnusableError(f"The trainer {trainer.name} is broken: its {name} raised {reason}") from error

    return call
