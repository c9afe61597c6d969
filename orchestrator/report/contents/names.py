"""Names the configurations of a leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nn.options.describe import heading
from orchestrator.analysis.leaderboard.board import Leaderboard


def configuration(board: Leaderboard, options: Mapping[str, Any]) -> str:
    """Return the options that vary with their values: `learning rate 0.1`; without any, words that say so."""
    names = board.names
    told = (f"{heading(names.model, name)} {names.shown(name, options[name])}" for name in names.varying)
    return ", ".join(told) or "the only configuration"
