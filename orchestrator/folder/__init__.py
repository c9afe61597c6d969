"""The sweep folder: how `runs/NAME/` is made, and how its rows, weights and leaderboard files are read and written.

May import `orchestrator.sweeps`, `worker` and `nn`; never `orchestrator.cluster`, so that every folder can be read
without Redis.
"""
