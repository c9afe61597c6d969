"""Plans a command line as `orchestrator sweep` does, and stops there."""

from __future__ import annotations

from typing import Any

import pytest

from nn.errors import SeedsweepError
from orchestrator.cli import sweep
from orchestrator.cli.main import run
from orchestrator.commands.plan import SweepPlan


class StoppedError(SeedsweepError):
    """Stops a command once it has its plan."""


def planned(*words: str) -> SweepPlan:
    """Return the plan of `orchestrator sweep` with these words."""
    real, plans = sweep.make_plan, []

    def plan_only(*arguments: Any, **options: Any) -> SweepPlan:
        plans.append(real(*arguments, **options))
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "make_plan", plan_only)
        assert run(["sweep", *words]) == 2
    assert plans, words
    return plans[0]
