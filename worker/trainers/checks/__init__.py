"""`check_trainer`: whether a trainer keeps the promises of the protocol, for the tests of its own package.

Each public function of `definition`, `training` and `elsewhere` is a check; it raises `Broken`. `case` trains, and
remembers what it trained; `process` is the program that trains in another process. NumPy is imported in functions only.
"""
