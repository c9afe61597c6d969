"""The commands that extend a sweep beyond its first specification: each adds a round to its manifest, and trains it."""
