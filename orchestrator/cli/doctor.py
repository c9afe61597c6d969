"""`orchestrator doctor`: checks what sweeps depend on."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console

from orchestrator.cli.shared.output import print_json, say
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AsJson, BrokerOrOwn, Output
from orchestrator.commands.doctor import examine


def command(broker: BrokerOrOwn = None, output: Output = DEFAULT_OUTPUT, as_json: AsJson = False) -> int:
    """Check what sweeps depend on, here and on the cluster, and say how to cure what is wrong.

    Python, settings, servers, workers, clocks, trainers, data and disks. Passwords are hidden, so that the output can
    be part of a bug report.

    Exit status: 0, or 1 if something must be cured.

    Example: orchestrator doctor --json
    """
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
