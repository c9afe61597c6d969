"""The leaderboard: a sweep's configurations by rank, with the statistics of each, and the verdict that heads it.

Each module needs only those before it. `scores` has each configuration's scores and the ranking; `judgement` decides
what may be said about them; `board` has the `Leaderboard`, and declares its figures and columns; `table` writes it for
terminals, programs and pages.
"""
