"""The formats of exports: what each writes, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nn.errors import InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import MissingPackageError
from orchestrator.export import csv_files, mlflow_runs, parquet_files, tensorboard_events, weights_zip
from orchestrator.export.jobs import Missing, OnProgress

#: Writes a sweep to new files, or to one new folder; returns the weights that it lacks.
Write = Callable[[Sweep, Sequence[Path], OnProgress], Sequence[Missing]]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: Its name in `--to`.
        suffixes: How the names of its files end; the first is the one that `--file` names.
        write: Writes it.
        packages: What must be importable.
        install: The packages to install for it in a checkout.
    """

    name: str
    suffixes: tuple[str, ...]
    write: Write
    packages: tuple[str, ...] = ()
    install: str = ""

    def targets(self, sweep: str, file: Path | None) -> tuple[Path, ...]:
        """Return the files, or the folder, that an export consists of.

        Args:
            sweep: The sweep's name, after which they are called by default, in the working folder.
            file: The first of them; the others are called after it.
        """
        if file is None:
            return tuple(Path(f"{sweep}{suffix}") for suffix in self.suffixes)
        return (file, *(file.with_name(f"{file.stem}{'.epochs'}{file.suffix}") for _ in self.suffixes[1:]))

    def check(self) -> None:
        """Check that the packages of the format are installed.

        Raises:
            MissingPackageError: one of them is not.
        """
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            raise MissingPackageError(
                f"--to {self.name} needs the package {missing[0]}: pip install 'seedsweep[{self.name}]', or "
                f"pip install {self.install} in a checkout"
            )


FORMATS = {
    each.name: each
    for each in (
        Format("csv", (".csv", ".epochs.csv"), csv_files.write),
        Format("parquet", (".parquet", ".epochs.parquet"), parquet_files.write, ("pyarrow",), "pyarrow"),
        Format(
            "mlflow",
            (".mlflow.db",),
            mlflow_runs.write,
            ("mlflow", "sqlalchemy", "alembic"),
            "mlflow-skinny sqlalchemy alembic",
        ),
        Format("tensorboard", (".tensorboard",), tensorboard_events.write, ("tensorboard",), "tensorboard"),
        Format("safetensors-zip", (".weights.zip",), weights_zip.write),
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
