"""Writes a sweep's results in the formats of other tools. Imports `analysis`, `folder` and what lies below them.

`jobs` has what every format tells of a job; `tables` makes rows of a sweep; each format has a module; `formats` lists
them; `destination` puts what was written in place, whole or not at all. The packages that a format needs are imported
when it is written.
"""
