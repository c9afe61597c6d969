"""The records that Seedsweep keeps in Redis. Imports `worker.redis` and `worker.job`; never `worker.steps`."""
