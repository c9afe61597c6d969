"""The leaderboard: a sweep's configurations by rank, with the statistics of each, and the verdict that heads it.

Its rooms, each of which needs only those before it: `scores` has the scores of each configuration and the rule by which
they rank; `judgement` decides what may be said about them; `board` is the `Leaderboard`, and declares its figures and
columns; `table` writes it for terminals, programs and pages.
"""
