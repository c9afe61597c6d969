"""What a sweep is: its specification, its jobs, its manifest. Imports nothing of the other folders."""
