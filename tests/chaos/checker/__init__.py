"""Holds what a run left against what it must be. Reads plain data alone; `violations` plants what it must find."""
