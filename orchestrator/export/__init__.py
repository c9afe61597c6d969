"""Writes a sweep's results in the formats of other tools.

`jobs` has what all formats say of a job; `tables` makes the rows of a sweep and writes them as CSV; each other format
has a module. `formats` lists them, and puts an export in place, atomically. The packages that a format needs are
imported when it is written.
"""
