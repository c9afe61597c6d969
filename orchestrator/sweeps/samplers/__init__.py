"""Samplers: which configurations of a space of options are tried. Imports only ranges of the sweeps' other modules."""
