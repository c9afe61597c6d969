"""Runs a sweep: submits its jobs, collects a row for each, cancels, verifies. Imports `cluster`, `folder`, `sweeps`."""
