"""The commands that answer questions about a sweep, as typed and printed."""
