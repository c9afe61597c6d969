"""The network's training options as one model, and all that follows from such a model: names, sentences, values.

Imports pydantic and `nn.errors`, and no NumPy: the command line reads its flags from here.
"""
