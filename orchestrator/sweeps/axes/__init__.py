"""The axes of a sweep: the values of an option, and ranges of them."""
