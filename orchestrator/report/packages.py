"""Checks that the packages of an extra are installed."""

from __future__ import annotations

from importlib.util import find_spec

from orchestrator.errors import MissingPackageError

#: The modules that each extra brings, and what to install for it in a checkout. For a report, Altair describes charts,
#: vl-convert draws them, and Jinja2 fills templates.
_EXTRAS = {
    "report": (("altair", "vl_convert", "jinja2"), "--require-hashes -r requirements-report.txt"),
    "mlflow": (("mlflow", "sqlalchemy", "alembic"), "mlflow-skinny sqlalchemy alembic"),
    "tensorboard": (("tensorboard",), "tensorboard"),
}


def require(what: str, extra: str = "report") -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        what: What needs them, as the beginning of the message: `The report`.
        extra: The extra.

    Raises:
        MissingPackageError: one of them is not installed.
    """
    modules, install = _EXTRAS[extra]
    for module in modules:
        if find_spec(module) is None:
            raise MissingPackageError(
                f"{what} needs the package {module}: pip install 'seedsweep[{extra}]', or pip install {install} in a "
                "checkout"
            )
