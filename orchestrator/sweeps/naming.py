"""The names that a sweep may have."""

import os
import re
import secrets
from datetime import datetime
from pathlib import Path

from nn.errors import InvalidInputError

# `last` names the sweep that changed last.
_NAME = re.compile(r"(?!last\Z)[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def is_name(name: str) -> bool:
    """Return whether a sweep may have this name: it cannot lead out of the output folder."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return the name if it is valid.

    Raises:
        InvalidInputError: the name is invalid.
    """
    if not is_name(name):
        allowed = "up to 100 letters, digits, '.', '_' and '-', the first a letter or digit; not the word last"
        raise InvalidInputError("name", name, allowed)
    return name


def free_name(output: Path) -> str:
    """Return a name made of date, time and a random part that no sweep in this folder has.

    The random part separates sweeps that begin in the same second, on this machine or on others of the cluster.
    """
    stem = f"{datetime.now().astimezone():sweep-%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    name, number = stem, 2
    while os.path.lexists(output / name):
        name, number = f"{stem}-{number}", number + 1
    return name
