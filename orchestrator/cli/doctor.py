"""`orchestrator doctor` and `config`: check what sweeps depend on, and print the settings."""

from dataclasses import asdict

from rich.console import Console

from orchestrator.cli.shared.output import print_json, print_table, say
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AsJson, BrokerOrOwn, Output
from worker.redis.address import hide_password
from worker.settings import read_settings


def command(broker: BrokerOrOwn = None, output: Output = DEFAULT_OUTPUT, as_json: AsJson = False) -> int:
    """Check what sweeps depend on, here and on the cluster, and say how to cure what is wrong.

    It looks at Python, settings, servers, workers, clocks, trainers, data and disks. Passwords are hidden, so that the
    output can be part of a bug report.

    Exit status: 0, or 1 if something must be cured.

    Example: orchestrator doctor --json
    """
    # Imported here because it takes a while, and `config` does without.
    from orchestrator.commands.doctor import examine

    findings = []
    console = Console(highlight=False)
    for each in examine(output, broker):
        findings.append(each)
        if not as_json:
            say(console, f"{'ok  ' if each.cure is None else 'CURE'} {each.what}: {each.found}")
            if each.cure is not None:
                say(console, f"     {each.cure}", style="bold")
    healthy = all(each.cure is None for each in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(each) for each in findings]})
    return 0 if healthy else 1


def config(as_json: AsJson = False) -> int:
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
        return print_json({"settings": found})
    rows = [
        (name, "none" if each["value"] is None else str(each["value"]), each["origin"] or "default")
        for name, each in found.items()
    ]
    print_table(Console(highlight=False), ("setting", "value", "from"), rows, is_text=True)
    return 0
