"""Writes a sweep's results in the formats of other tools. Imports `analysis`, `folder` and what lies below them."""
