"""`report`: writes the page of a sweep, or one of its charts as a picture."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nn.errors import InvalidInputError
from nn.files import anchored, open_regular, real, write_atomically
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import MissingPackageError, OutputError
from orchestrator.folder.sweeps import REPORT
from orchestrator.report.charts import catalogue, drawing
from orchestrator.report.contents import model
from orchestrator.report.page.render import BEGINNING, render
from orchestrator.text import listed


@dataclass(frozen=True)
class Target:
    """A kind of file. It is written atomically, and replaces nothing but an earlier file of its kind.

    Attributes:
        what: Its name, as the beginning of a message: `The report`.
        kind: Its kind with its article: `a report`.
        beginning: The first bytes of every file of its kind.
    """

    what: str
    kind: str
    beginning: bytes

    def check(self, path: Path, within: Path, folder: Path | None = None) -> None:
        """Check that a path is free, or has an earlier file of this kind.

        Args:
            path: The path.
            within: Its folder, without links, as it was found first.
            folder: The same, if it is held open.

        Raises:
            OutputError: something else is there, or the path cannot be read.
        """
        there = path if folder is None else folder / path.name
        try:
            with open_regular(there, within=within) as file:
                if file.read(len(self.beginning)) == self.beginning:
                    return
        except FileNotFoundError:
            if not os.path.lexists(there):
                return  # otherwise it is a dangling link
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EINVAL):
                raise self._unwritable(path, error.strerror or str(error)) from None
        raise self._unwritable(path, f"what exists there is not {self.kind}")

    def write(self, path: Path, data: bytes, sweep: Sweep, within: Path) -> Written:
        """Write what was made of a sweep; without data, remove an earlier file. Arguments: see `check`.

        Raises:
            OutputError: the file cannot be written, or something else is there.
        """
        try:
            with anchored(path.parent, within) as folder:
                if within == sweep.folder.real:
                    sweep.folder.refuse_other(folder)
                self.check(path, within, folder)
                if data:
                    write_atomically(folder / path.name, lambda file: file.write(data))
                else:
                    (folder / path.name).unlink()
        except OSError as error:
            raise self._unwritable(path, error.strerror or str(error)) from None
        return Written(path, len(data), sweep)

    def _unwritable(self, path: Path, why: str) -> OutputError:
        return OutputError(f"{self.what} {path} cannot be written: {why} (--to FILE writes it elsewhere)")


@dataclass(frozen=True)
class Written:
    """A page or a chart that was written.

    Attributes:
        path: The file.
        bytes: Its size.
        sweep: What it shows.
    """

    path: Path
    bytes: int
    sweep: Sweep


_PAGE = Target("The report", "a report", BEGINNING.encode())
#: The formats of pictures by name, which is also the file extension.
FORMATS: Mapping[str, Target] = {
    "png": Target("The chart", "a PNG file", b"\x89PNG\r\n\x1a\n"),
    "svg": Target("The chart", "an SVG file", b"<svg "),
    "pdf": Target("The chart", "a PDF file", b"%PDF-"),
}


def report(sweep: Sweep, to: Path | None = None, *, cache_dir: Path | None = None) -> Written:
    """Write the page of a sweep.

    Args:
        sweep: The sweep.
        to: The file; None for `report.html` in the sweep's folder.
        cache_dir: Where prepared data sets are kept, for the portrait of the best network; None to prepare one.

    Raises:
        MissingPackageError: the packages that it needs are not installed.
        OutputError: the file cannot be written, or an existing file there is not a report.
    """
    MissingPackageError.check("The report")
    path = sweep.folder.path / REPORT if to is None else to
    within = sweep.folder.real if to is None else real(path.parent)
    _PAGE.check(path, within)
    return _PAGE.write(path, render(sweep, model.content(sweep, cache_dir)).encode(), sweep, within)


def picture(sweep: Sweep, name: str, form: str | None = None, to: Path | None = None) -> tuple[Written, str]:
    """Write a chart of a sweep, and return also its format.

    Args:
        sweep: The sweep.
        name: The chart's name.
        form: The name of a format; None for that of the file's extension, or `png`.
        to: The file; None for one in the working folder, named after the sweep and the chart.

    Raises:
        InvalidInputError: the sweep has no such chart, or the file's extension does not fit.
        MissingPackageError: the packages that it needs are not installed.
        OutputError: the file cannot be written, or it exists and is not such a picture.
    """
    MissingPackageError.check("A chart")
    ending = "" if to is None else to.suffix[1:].lower()
    if ending and ending not in ((form,) if form else FORMATS):
        endings = listed([f".{each}" for each in ((form,) if form else FORMATS)], "or")
        raise InvalidInputError("--to", str(to), f"a name that ends in {endings}")
    chosen = form or ending or "png"
    kind = catalogue.check(sweep, name, "--chart")
    path = Path(f"{sweep.name}.{name}.{chosen}") if to is None else to
    target, within = FORMATS[chosen], real(path.parent)
    target.check(path, within)
    return target.write(path, drawing.file(kind.draw(sweep, name), chosen), sweep, within), chosen
