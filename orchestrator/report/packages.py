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
    if not all(map(_is_installed, MODULES)):
        raise MissingPackageError(
            f"{what} needs the packages Altair, vl-convert and Jinja2: pip install 'seedsweep[report]', or "
            "pip install --require-hashes -r requirements-report.txt in a checkout"
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
