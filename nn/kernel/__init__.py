"""The compiled engine: SGD in strict IEEE machine code, the same bits on every CPU. Imports only modules of `nn`."""

import os

# If colorama is installed, numba colours its errors by it, and colorama then writes an escape to a terminal at exit.
os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")
