"""The formats of exports: what each writes, and what it needs. A format's own module is imported when it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nn.errors import InvalidInputError
from orchestrator.errors import MissingPackageError
from orchestrator.report.packages import MODULES

if TYPE_CHECKING:
    from orchestrator.analysis.sweep import Sweep
    from orchestrator.export.jobs import Missing, OnProgress


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: Its name in `--to`.
        module: Its module in this package, which has a function `write`.
        suffixes: How the names of its files end; the first is the one that `--file` names.
        packages: What must be importable.
        install: The packages to install for it in a checkout.
        extra: The extra that has them; empty if it has the format's name.
    """

    name: str
    module: str
    suffixes: tuple[str, ...]
    packages: tuple[str, ...] = ()
    install: str = ""
    extra: str = ""

    def write(self, sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> Sequence[Missing]:
        """Write a sweep to new files, or to one new folder; return the weights that it lacks."""
        return import_module(f"{__package__}.{self.module}").write(sweep, paths, on_progress) or ()

    def targets(self, sweep: str, file: Path | None) -> tuple[Path, ...]:
        """Return the files, or the folder, that an export consists of.

        Args:
            sweep: The sweep's name, which names them by default, in the working folder.
            file: The first of them, which names the others, too.
        """
        if file is None:
            return tuple(Path(f"{sweep}{suffix}") for suffix in self.suffixes)
        return (file, *(file.with_name(f"{file.stem}.epochs{file.suffix}") for _ in self.suffixes[1:]))

    def check(self) -> None:
        """Check that the packages of the format are installed.

        Raises:
            MissingPackageError: one of them is not.
        """
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            raise MissingPackageError(
                f"--to {self.name} needs the package {missing[0]}: pip install 'seedsweep[{self.extra or self.name}]', "
                f"or pip install {self.install} in a checkout"
            )


_MLFLOW = ("mlflow", "sqlalchemy", "alembic")
FORMATS = {
    each.name: each
    for each in (
        Format("csv", "tables", (".csv", ".epochs.csv")),
        Format("parquet", "parquet_files", (".parquet", ".epochs.parquet"), ("pyarrow",), "pyarrow"),
        Format("mlflow", "mlflow_runs", (".mlflow.db",), _MLFLOW, "mlflow-skinny sqlalchemy alembic"),
        Format("tensorboard", "tensorboard_events", (".tensorboard",), ("tensorboard",), "tensorboard"),
        Format("safetensors-zip", "weights_zip", (".weights.zip",)),
        Format(
            "ro-crate", "ro_crate", (".crate.zip",), MODULES, "--require-hashes -r requirements-report.txt", "report"
        ),
    )
}


def format_named(name: str) -> Format:
    """Return the format with this name.

    Raises:
        InvalidInputError: there is none.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise InvalidInputError("to", name, f"one of {', '.join(FORMATS)}") from None
