"""The compiled engine: SGD in strict IEEE machine code, the same bits on every CPU. Imports only modules of `nn`."""
