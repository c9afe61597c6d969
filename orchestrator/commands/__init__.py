"""What each command does, as functions: typed values in, a frozen result out.

A command prints nothing, installs no signal handler and works in any thread; `cli` reads the words, calls the command
and shows its result. Imports neither `cli` nor `rich` nor `typer`.

A command that needs preparation has a plan (`plan_...`), which checks everything and begins nothing, and a function
that carries the plan out.
"""
