"""Asks for jobs, collects their results, ranks and explains them. Imports `worker` and `nn`."""
