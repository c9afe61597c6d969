"""The leaderboard: a sweep's configurations by rank, with the statistics of each, and the verdict that heads it.

`scoring` says which number of a job counts, `scores` collects those of each configuration, and `ranking` orders them:
none of these imports SciPy, so that progress can use them. `figures` asks `orchestrator.analysis.statistics`, `verdict`
draws the conclusion, `sentence` words it, and `board` puts everything together; `common` and `export` write it down.
"""
