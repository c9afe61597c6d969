"""Analyzes the rows and weights of a sweep folder: the leaderboard, one job's network, its mistakes.

May import `orchestrator.folder` and what lies below it; never `orchestrator.cluster` or `orchestrator.running`.
"""
