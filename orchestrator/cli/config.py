"""`orchestrator config`: prints each setting, its value, and where that comes from."""

from __future__ import annotations

from rich.console import Console

from orchestrator.cli.shared.output import print_json, print_table
from orchestrator.cli.shared.parameters import AsJson
from worker.redis.address import hide_password
from worker.settings import read_settings


def command(as_json: AsJson = False) -> int:
    """Print each setting, its value, and where that comes from; passwords are hidden.

    A flag overrides the environment, which overrides seedsweep.toml in the working folder or the nearest one above it,
    which overrides ~/.config/seedsweep/seedsweep.toml, which overrides the default.

    Example: orchestrator config --json
    """
    settings, origins = read_settings()
    found = {
        name: {"value": hide_password(value) if isinstance(value, str) else value, "origin": origins.get(name)}
        for name, value in settings.model_dump(mode="json").items()
    }
    if as_json:
        print_json({"settings": found})
        return 0
    rows = [
        (name, "none" if each["value"] is None else str(each["value"]), each["origin"] or "default")
        for name, each in found.items()
    ]
    print_table(Console(highlight=False), ("setting", "value", "from"), rows, is_text=True)
    return 0
