"""A race between the configurations of a sweep, which follows from its manifest and rows.

`field` has who takes part, `course` what was decided at each look and what the next one needs, `outlook` how much is
still to come, and `conclusion` the answer in words. The rules are those of `orchestrator.analysis.statistics.race`,
which knows numbers only.
"""
