"""Checks that the packages of the extra `report` are installed."""

from __future__ import annotations

from importlib.util import find_spec

from orchestrator.errors import MissingPackageError

#: Altair describes charts, vl-convert draws them, Jinja2 fills templates.
MODULES = ("altair", "vl_convert", "jinja2")


def require(what: str) -> None:
    """Check that the packages are installed, without importing them.

    Args:
        what: What needs them, as the beginning of the message: `report`.

    Raises:
        MissingPackageError: one of them is not installed.
    """
    try:
        installed = all(map(find_spec, MODULES))
    except ImportError:
        installed = False
    if not installed:
        raise MissingPackageError(
            f"{what} needs the packages Altair, vl-convert and Jinja2: pip install 'seedsweep[report]', or "
            "pip install --require-hashes -r requirements-report.txt in a checkout"
        )
