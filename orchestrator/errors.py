"""The errors of the `orchestrator` layer."""

from pathlib import Path

from nn.errors import SeedsweepError

#: The modules that each extra brings, and what to install for it in a checkout. For a report, Altair describes charts,
#: vl-convert draws them, and Jinja2 fills templates.
_EXTRAS = {
    "report": (("altair", "vl_convert", "jinja2"), "--require-hashes -r requirements-report.txt"),
    "mlflow": (("mlflow", "sqlalchemy", "alembic"), "mlflow-skinny sqlalchemy alembic"),
    "tensorboard": (("tensorboard",), "tensorboard"),
    "optuna": (("optuna",), "--require-hashes -r requirements-optuna.txt"),
}


class SweepExistsError(SeedsweepError):
    """The name belongs to another sweep, or to a sweep that the command was not told to resume."""


class SweepBusyError(SweepExistsError):
    """Another process has locked the sweep folder."""


class SweepNotFoundError(SeedsweepError):
    """No sweep has this name, or the folder is not a sweep folder."""


class TrainerMissingError(SeedsweepError):
    """The trainer of a sweep is not installed here: its jobs and rows cannot be read."""


class SweepUnreadableError(SeedsweepError):
    """A sweep folder, or a file in it, exists and cannot be read."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be read: {error.strerror or error}")


class IncomparableError(SeedsweepError):
    """Two sweeps measured different things."""


class HeldOutError(SeedsweepError):
    """A sweep has no test split, or its test split cannot be evaluated."""


class ClaimError(SeedsweepError):
    """A claim cannot be made, read or checked."""


class OutputError(SeedsweepError):
    """The output folder cannot be written."""


class BrokerUnreachableError(SeedsweepError):
    """No Redis server answers at the broker's address, or the server rejects the connection or a command."""


class ClusterError(SeedsweepError):
    """The embedded cluster did not start, or one of its processes ended."""


class ClusterFullError(SeedsweepError):
    """The cluster's Redis has reached its `maxmemory` and accepts no writes."""


class PictureError(SeedsweepError):
    """The file is not a picture of a digit."""


class MissingPackageError(SeedsweepError):
    """An optional package that a command needs is not installed."""

    @classmethod
    def check(cls, what: str, extra: str = "report") -> None:
        """Raise this error unless the packages of an extra are installed; they are not imported.

        Args:
            what: What needs them, as the beginning of the message: `The report`.
            extra: The extra.
        """
        from importlib.util import find_spec

        modules, install = _EXTRAS[extra]
        for module in modules:
            if find_spec(module) is None:
                raise cls(
                    f"{what} needs the package {module}: pip install 'seedsweep[{extra}]', or pip install {install} in "
                    "a checkout"
                )


class PageError(SeedsweepError):
    """A page of the live server cannot be made, or cannot be served."""
