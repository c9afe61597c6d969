"""Writes a sweep's results in the formats of other tools. Imports `analysis`, `folder` and what lies below them.

`sweep` reads the folder; `tables` makes rows of it; each format has a module; `formats` lists them; `destination` puts
what was written in place, whole or not at all. The packages that a format needs are imported when it is written.
"""
