"""Serves the report of sweeps that run, on Tornado. Reads sweep folders, and writes nothing.

Imports `report` and what lies below it.
"""
