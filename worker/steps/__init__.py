"""What is added to Celery's worker, its consumer and its requests. Imports every other folder of `worker`."""
