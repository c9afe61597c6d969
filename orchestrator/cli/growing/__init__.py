"""The commands that extend a sweep, as typed and printed."""
