"""The command `orchestrator`: reads words, calls a command, shows its result. Nothing imports this package.

One module for each group of commands (`sweep`, `watch`, `verify`, `show`), beside what they share; `words` is the room
of flags and arguments. Imports `commands` and what lies below them.
"""
