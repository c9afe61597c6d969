"""A sweep's folder on disk: its rows, weights and leaderboard files. Never imports `orchestrator.cluster`."""
