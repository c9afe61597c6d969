"""`orchestrator report`: reads its arguments, calls the command, says where the page is, or the picture of a chart."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

from nn.errors import Described, InvalidInputError, SeedsweepError
from orchestrator.analysis.lookup import open_sweep
from orchestrator.cli.output import complain
from orchestrator.cli.words.arguments import output_folder
from orchestrator.commands.publishing.picture import picture
from orchestrator.commands.publishing.report import ReportResult, report
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.text import counted
from worker.settings import load_settings
from worker.text import printable


def run_report(name: str, to: str | None, output: str, *, opens: bool, as_json: bool) -> int:
    """Write a page, say where it is, and return the exit status.

    Raises:
        SeedsweepError: bad input, or the page cannot be written.
    """
    folder = open_sweep(name, output_folder(output))
    result = report(folder, None if to is None else file_named(to), cache_dir=load_settings().cache_dir)
    if as_json:
        fields = {"path": str(result.path), "bytes": result.bytes, "jobs": result.jobs, "ended": result.ended}
        print(json.dumps(fields))
    else:
        print(printable(_said(result)))
    if opens:
        show(result.path)
    return 0


def run_picture(
    name: str, chart: str | None, form: str | None, to: str | None, output: str, *, opens: bool, as_json: bool
) -> int:
    """Write a chart, say where it is, and return the exit status.

    Raises:
        SeedsweepError: bad input, or the file cannot be written.
    """
    if chart is None:
        raise InvalidInputError("--chart", Described("missing"), "the name of a chart, of which --format is the format")
    result = picture(open_sweep(name, output_folder(output)), chart, form, None if to is None else file_named(to))
    if as_json:
        fields = {"path": str(result.path), "chart": chart, "format": result.format, "bytes": result.bytes}
        print(json.dumps(fields))
    else:
        print(printable(f"Chart: {result.path} ({sized(result.bytes)})"))
    if opens:
        show(result.path, "chart")
    return 0


def file_named(to: str) -> Path:
    """Return the path that `--to` gives.

    Raises:
        InvalidInputError: it is none.
    """
    if not to or "\0" in to:
        raise InvalidInputError("--to", to, "the path of a file")
    return Path(to)


def written_report(folder: SweepFolder) -> Path | None:
    """Write the report of a sweep that has just ended, and return its path; None if it could not be written.

    The sweep's own result stands whatever happens here, so that an error is said and not raised.
    """
    try:
        return report(folder, cache_dir=load_settings().cache_dir).path
    except SeedsweepError as error:
        complain(f"The report was not written: {error}")
    except Exception as error:
        complain(f"The report was not written: {type(error).__name__}: {error}")
    return None


def show(path: Path, what: str = "report") -> None:
    """Open a file in the browser, or say that there is none."""
    if not webbrowser.open(path.absolute().as_uri()):
        complain(f"There is no browser to open; the {what} is {path.absolute()}")


def sized(count: int) -> str:
    """Return a number of bytes as text."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _said(result: ReportResult) -> str:
    size = sized(result.bytes)
    if result.ended < result.jobs:
        size = f"{size}, of a sweep with {result.ended} of {counted(result.jobs, 'job')} ended"
    return f"Report: {result.path} ({size})"
