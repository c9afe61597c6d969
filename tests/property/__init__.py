"""Hostile input, made by Hypothesis: every answer is a result or one of our errors."""
