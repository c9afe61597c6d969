"""The words of a command line: flags, options, arguments, and what is said of a wrong one. Prints nothing.

`flags` derives the flags of a specification, `options` holds what was typed, `arguments` turns it into values, `usage`
answers words that no command takes. Imports none of the other modules of `cli`.
"""
