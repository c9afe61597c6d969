"""Serves the reports of running sweeps with Tornado. Reads sweep folders, and writes nothing.

The process that answers requests reads no sweep: it checks the files' times and sizes (`folder.sweeps`), and asks
other processes for pages (`renderer`, `pages`), so that a large or hostile folder cannot block it. `feed` renders
a page once for all readers, `handlers` authorize and answer requests, `server` runs it all. Imports
`report` and what lies below it.
"""
