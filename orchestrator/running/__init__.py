"""Gets every job its row: submits, collects, cancels, verifies. Imports `cluster`, `folder` and `sweeps`."""
