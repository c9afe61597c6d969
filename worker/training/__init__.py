"""One attempt at a job, in a process of the pool. Imports `worker.records`, and never `worker.steps`."""
