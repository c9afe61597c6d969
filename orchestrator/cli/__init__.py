"""The `orchestrator` command: one module per group of commands."""
