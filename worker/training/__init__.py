"""Training a job in a process of the worker's pool. Imports `worker.records`, and never `worker.steps`."""
