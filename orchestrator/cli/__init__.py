"""The `orchestrator` command: for each group of commands, what they are given and what they do with it."""
