"""What the rows and weights in a sweep folder say: the leaderboard, one job's network, its mistakes.

May import `orchestrator.folder` and what lies below it; never `orchestrator.cluster` or `orchestrator.running`.
"""
