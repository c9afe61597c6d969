"""The commands of `orchestrator` and their flags, as typer reads them; their values are still text.

Each command imports its module when it runs, so that `--help` answers at once.
"""
