"""The command line: each command is a module of its name, which declares its flags and shows its result.

`main` finds the command that was typed. `shared` has what several commands need. No command imports another one.
"""
