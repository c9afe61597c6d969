"""`orchestrator report --chart`: reads its arguments, calls the command, says where the picture is."""

from __future__ import annotations

import json

from nn.errors import Described, InvalidInputError
from orchestrator.analysis.lookup import open_sweep
from orchestrator.cli.publishing.report import file_named, show, sized
from orchestrator.cli.words.arguments import output_folder
from orchestrator.commands.publishing.picture import picture
from worker.text import printable


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
