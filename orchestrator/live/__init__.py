"""Serves the report of sweeps that run, on Tornado. Reads sweep folders, and writes nothing.

The process that answers requests reads no sweep: it looks at the files' times and sizes (`sweeps`), and asks a second
process for pages (`renderer`, `pages`, `summary`), so that a large or a hostile folder blocks nobody. `feed` renders a
page once for all who look at it, `access` decides who may ask, `handlers` answer, `server` runs it all. Imports
`report` and what lies below it.
"""
