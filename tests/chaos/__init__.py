"""Real servers, workers and orchestrators, faults at random instants, and a checker of what is left."""
