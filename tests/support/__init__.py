"""Real services for the tests: a Redis server, workers, and how to wait for what they do."""
