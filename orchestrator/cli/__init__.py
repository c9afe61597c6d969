"""The command line: a module for each command, or for a few that belong together, declares flags and shows results.

`main` finds the command that was typed. `shared` has what several commands need.
"""
