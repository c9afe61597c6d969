"""The commands that hand a sweep's results to others, as typed and printed."""
